from .methods.method import Method as Method, register_method as register_method
from .training import train as train
