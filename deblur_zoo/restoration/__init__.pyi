from . import folders as folders
from .folders import Report as Report, Restorer as Restorer, plan as plan
