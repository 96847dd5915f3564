"""The container lab: Debian machines with a real systemd, and the networks between them.

`Lab` makes, reads, breaks and removes them; `Machine` (in `driver`) is how tests speak to one.
Nothing of a lab reaches the routing table, the mount table or the files of the machine that carries
it: links live in namespaces, roots are mounted where only their container sees them, and everything
that lasts lies in ``<state directory>/lab``. README.md has the picture and the reasons.
"""
