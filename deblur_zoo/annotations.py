"""What public functions take and give, named for type checkers and for readers."""

import os
from typing import TYPE_CHECKING, Any, TypeAlias

from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import PIL.Image

# A tensor of the backend in use, or a NumPy array. Keras has no types.
Tensor: TypeAlias = Any
# A NumPy array; the docstrings give its type and shape.
Array: TypeAlias = NDArray[Any]
StrPath: TypeAlias = str | os.PathLike[str]
# A file, a PIL image, or an array of one picture or several.
Pictures: TypeAlias = "StrPath | PIL.Image.Image | ArrayLike"
