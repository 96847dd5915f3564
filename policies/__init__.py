"""What is required: controls, waivers, and the policies that the engine runs."""
