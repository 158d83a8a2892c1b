from numpy import intp
from numpy.typing import NDArray

def chase(following: NDArray[intp], steps: int) -> float: ...
