"""Make the polynomial coefficients of cpp/kernels/math.hpp.

e^r = 1 + r + r^2 P(r) on |r| <= ln(2) / 2: P by Remez exchange in high precision, with
the error weighted so that it is relative to e^r. Prints the coefficients of P, lowest
power first, as C++ hexadecimal literals of the dtype, and the error that is left.

Run: python tools/minimax.py   (needs mpmath)
"""

from mpmath import chop, exp, linspace, log, lu_solve, matrix, mp, mpf

mp.dps = 60
EDGE = log(2) / 2


def target(r: mpf) -> mpf:
    """(e^r - 1 - r) / r^2, without cancellation."""
    if abs(r) > mpf("1e-8"):
        return (exp(r) - 1 - r) / r**2
    return sum(r**k / mp.factorial(k + 2) for k in range(6))


def weight(r: mpf) -> mpf:
    return r**2 / exp(r)


def evaluate(coefficients: list[mpf], r: mpf) -> mpf:
    return sum(c * r**k for k, c in enumerate(coefficients))


def remez(degree: int) -> list[mpf]:
    """Minimise max |weight * (P - target)|; the weight is zero at 0, so the points
    of the exchange keep away from it."""
    count = degree + 2
    points = [EDGE * mp.cos(mp.pi * (2 * i + 1) / (2 * count)) for i in range(count)]
    points = [p if abs(p) > EDGE / 50 else EDGE / 50 for p in sorted(points)]
    for _ in range(30):
        rows = matrix(count, count)
        right = matrix(count, 1)
        for i, p in enumerate(points):
            for k in range(degree + 1):
                rows[i, k] = p**k
            rows[i, degree + 1] = (-1) ** i / weight(p)
            right[i] = target(p)
        solution = lu_solve(rows, right)
        coefficients = [solution[k] for k in range(degree + 1)]
        error = lambda r: weight(r) * (evaluate(coefficients, r) - target(r))  # noqa: B023, E731
        grid = linspace(-EDGE, EDGE, 2001)
        values = [error(r) for r in grid]
        extrema = [
            grid[i]
            for i in range(2001)
            if (i == 0 or abs(values[i]) >= abs(values[i - 1]))
            and (i == 2000 or abs(values[i]) >= abs(values[i + 1]))
        ]
        alternating: list[mpf] = []
        for r in extrema:
            if alternating and error(alternating[-1]) * error(r) > 0:
                if abs(error(r)) > abs(error(alternating[-1])):
                    alternating[-1] = r
            else:
                alternating.append(r)
        while len(alternating) > count:
            ends = (abs(error(alternating[0])), abs(error(alternating[-1])))
            alternating.pop(0 if ends[0] < ends[1] else -1)
        if len(alternating) < count or alternating == points:
            break
        points = alternating
    return coefficients


def literal(value: mpf, bits: int) -> str:
    """The nearest number of `bits` bits, as a hexadecimal literal."""
    with mp.workprec(bits):
        rounded = +value
    mantissa, exponent = mp.frexp(rounded)
    digits = (bits - 1 + 3) // 4
    scaled = int(mantissa * mpf(2) ** (4 * digits + 1))
    return f"0x1.{scaled - 16**digits:0{digits}x}p{int(exponent) - 1:+d}"


def main() -> None:
    for dtype, degree, bits in (("float", 4, 24), ("double", 9, 53)):
        coefficients = remez(degree)
        grid = linspace(-EDGE, EDGE, 4001)
        worst = max(
            abs(weight(r) * (evaluate(coefficients, r) - target(r))) for r in grid
        )
        print(f"{dtype}: degree {degree}, relative error {mp.nstr(chop(worst), 3)}")
        for c in coefficients:
            print("   ", literal(c, bits))
    for name, value, bits in (("log2(e)", 1 / log(2), 53), ("ln 2", log(2), 53)):
        print(name, literal(value, bits))
    for dtype, high, low in (("float", 10, 24), ("double", 32, 53)):
        top = mp.floor(log(2) * 2**high) / mpf(2) ** high
        print(f"ln 2, {dtype}:", literal(top, 53), literal(log(2) - top, low))


if __name__ == "__main__":
    main()
