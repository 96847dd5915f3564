"""Finished values for each host, under the names that the roles' records ask for."""

from infra.inventory.build import AUTOMATION_USER, Inventory, Material, build_inventory
from infra.inventory.ssh import Way, pin_missing, render_config, unpin
from infra.inventory.write import write_if_changed, write_inventory

__all__ = [
    "AUTOMATION_USER",
    "Inventory",
    "Material",
    "Way",
    "build_inventory",
    "pin_missing",
    "render_config",
    "unpin",
    "write_if_changed",
    "write_inventory",
]
