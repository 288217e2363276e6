from . import folders as folders, outputs as outputs, photo as photo, restorer as restorer, video as video
from .folders import Report as Report, plan as plan
from .outputs import Outputs as Outputs
from .photo import PhotoFace as PhotoFace, PhotoOptions as PhotoOptions, RestoredPhoto as RestoredPhoto
from .restorer import Restorer as Restorer, restore as restore
from .video import RestoredVideo as RestoredVideo, VideoFace as VideoFace
