"""How models are evaluated: shared by the settings of several analyses."""

from typing import Literal

BatchNorm = Literal["keep", "interpolate", "recalibrate"]
"""Which running statistics a model has that nobody trained: those of one model nearby, the same mixture of
several models' as its parameters are, or statistics measured anew."""
Compiled = Literal["auto"] | bool
"""Whether the evaluation step is compiled: where that repays itself, always, never."""
Precision = Literal["fp32", "bf16"]
"""Type in which convolutions and matrix products are computed; the loss itself is always float32."""
