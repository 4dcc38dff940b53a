"""Exact arithmetic rounded once to float32, to say what a fused multiply-add must give.

Every float32 is a fraction, and so are products and sums of them. `round_to_float32` is the only place that rounds.
"""

import math
from fractions import Fraction

import numpy as np

MANTISSA_BITS = 24
LOWEST_EXPONENT = -149
OVERFLOW = Fraction(2) ** 128


def round_to_float32(exact: Fraction, zero_sign: int) -> np.float32:
    """Nearest float32, ties to even, subnormals included. `zero_sign` is the sign of a result that is exactly zero."""
    if exact == 0:
        return np.float32(math.copysign(0.0, zero_sign))
    magnitude = abs(exact)
    exponent = max(_floor_log2(magnitude) - (MANTISSA_BITS - 1), LOWEST_EXPONENT)
    # Fraction rounds halves to even, as IEEE 754 does.
    rounded = round(magnitude / Fraction(2) ** exponent) * Fraction(2) ** exponent
    if rounded >= OVERFLOW:
        raise OverflowError("the fixtures exclude infinities")
    return np.float32(math.copysign(float(rounded), exact))


def multiply(first: np.float32, second: np.float32) -> np.float32:
    return round_to_float32(Fraction(float(first)) * Fraction(float(second)), _product_sign(first, second))


def fused_multiply_add(first: np.float32, second: np.float32, addend: np.float32) -> np.float32:
    """first · second + addend, rounded once."""
    product = Fraction(float(first)) * Fraction(float(second))
    # An exact zero is negative only when product and addend both are.
    both_negative = _product_sign(first, second) < 0 and math.copysign(1.0, addend) < 0
    zero_sign = -1 if product == 0 and addend == 0 and both_negative else 1
    return round_to_float32(product + Fraction(float(addend)), zero_sign)


def _floor_log2(magnitude: Fraction) -> int:
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    return exponent if Fraction(2) ** exponent <= magnitude else exponent - 1


def _product_sign(first: np.float32, second: np.float32) -> int:
    return int(math.copysign(1.0, first) * math.copysign(1.0, second))
