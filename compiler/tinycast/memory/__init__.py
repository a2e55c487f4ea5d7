"""The static memory planner: liveness, order, placement, certificate."""

from tinycast.memory.certificate import certificate, check
from tinycast.memory.plan import Peak, find_peak, plan_memory

__all__ = ["Peak", "certificate", "check", "find_peak", "plan_memory"]
