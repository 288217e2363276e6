from . import (
    baselines as baselines,
    camera_protocol as camera_protocol,
    groups as groups,
    measurement as measurement,
    preset_measurement as preset_measurement,
    protocol as protocol,
    speed as speed,
    table as table,
)
