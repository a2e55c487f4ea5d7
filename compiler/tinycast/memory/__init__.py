"""The static memory planner: liveness, order, placement, certificate."""

from tinycast.memory.certificate import certificate, check
from tinycast.memory.plan import plan_memory

__all__ = ["certificate", "check", "plan_memory"]
