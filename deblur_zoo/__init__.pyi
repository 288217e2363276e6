from . import (
    blur as blur,
    data as data,
    evaluation as evaluation,
    exported as exported,
    faces as faces,
    features as features,
    losses as losses,
    metrics as metrics,
    models as models,
    restoration as restoration,
    serving as serving,
    video as video,
    zoo as zoo,
)
from .models.deblurrer import Deblurrer as Deblurrer
from .models.parser import Parser as Parser
from .restoration.restorer import Restorer as Restorer, restore as restore
from .zoo import (
    describe as describe,
    list_models as list_models,
    load as load,
    save_preset as save_preset,
    upload_preset as upload_preset,
)

__version__: str
