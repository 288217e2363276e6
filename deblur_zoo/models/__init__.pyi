from . import (
    deblurrer as deblurrer,
    enhancement_gan as enhancement_gan,
    face_parser as face_parser,
    one_step as one_step,
    parser as parser,
    semantic_face as semantic_face,
    two_step_gan as two_step_gan,
    umsn as umsn,
    umsn_parser as umsn_parser,
)
from .deblurrer import Deblurrer as Deblurrer
from .enhancement_gan import EnhancementGan as EnhancementGan
from .face_parser import FaceParser as FaceParser
from .one_step import OneStep as OneStep
from .parser import Parser as Parser
from .semantic_face import SemanticFace as SemanticFace
from .two_step_gan import TwoStepGan as TwoStepGan
from .umsn import Umsn as Umsn
