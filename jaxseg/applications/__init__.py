"""Applications: what a task's answer is good for; see types.Application."""

from jaxseg.applications.landing import Landing

APPLICATIONS = {"landing": Landing}
