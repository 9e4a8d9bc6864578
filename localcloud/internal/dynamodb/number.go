package dynamodb

import (
	"strconv"
	"strings"
)

// Limits of a number: digits kept, and the decimal exponent of the leading
// digit (9.99…E+125 is the largest magnitude, 1E-130 the smallest).
const (
	maxDigits = 38
	maxExp    = 125
	minExp    = -130
)

// number is a decimal: ±0.d1d2d3… × 10^point, where digits has no leading and
// no trailing zeros. Zero has no digits.
type number struct {
	neg    bool
	digits string
	point  int
}

// parseNumber reads a number in plain or scientific notation.
func parseNumber(text string) (number, error) {
	n, ok := scanNumber(text)
	if !ok {
		if text == "" {
			return number{}, validation("The parameter cannot be converted to a numeric value")
		}
		return number{}, validation("The parameter cannot be converted to a numeric value: %s", text)
	}
	return n, n.check()
}

// check says whether the number can be stored.
func (n number) check() error {
	switch {
	case n.digits == "":
		return nil
	case n.point-1 > maxExp:
		return validation("Number overflow. Attempting to store a number with magnitude larger than supported range")
	case n.point-1 < minExp:
		return validation("Number underflow. Attempting to store a number with magnitude smaller than supported range")
	case len(n.digits) > maxDigits:
		return validation("Attempting to store more than 38 significant digits in a Number")
	}
	return nil
}

func scanNumber(text string) (number, bool) {
	var n number
	rest := text
	if rest != "" && (rest[0] == '-' || rest[0] == '+') {
		n.neg = rest[0] == '-'
		rest = rest[1:]
	}
	exp := 0
	if i := strings.IndexAny(rest, "eE"); i >= 0 {
		e, err := strconv.Atoi(rest[i+1:])
		if err != nil {
			return number{}, false
		}
		exp, rest = e, rest[:i]
	}
	whole, frac, _ := strings.Cut(rest, ".")
	if whole == "" && frac == "" || !allDigits(whole) || !allDigits(frac) {
		return number{}, false
	}
	return makeNumber(n.neg, whole+frac, len(whole)+exp), true
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func makeNumber(neg bool, digits string, point int) number {
	trimmed := strings.TrimLeft(digits, "0")
	point -= len(digits) - len(trimmed)
	trimmed = strings.TrimRight(trimmed, "0")
	if trimmed == "" {
		return number{}
	}
	return number{neg: neg, digits: trimmed, point: point}
}

// String is the plain notation, as DynamoDB returns numbers.
func (n number) String() string {
	if n.digits == "" {
		return "0"
	}
	var b strings.Builder
	if n.neg {
		b.WriteByte('-')
	}
	switch {
	case n.point <= 0:
		b.WriteString("0.")
		b.WriteString(strings.Repeat("0", -n.point))
		b.WriteString(n.digits)
	case n.point >= len(n.digits):
		b.WriteString(n.digits)
		b.WriteString(strings.Repeat("0", n.point-len(n.digits)))
	default:
		b.WriteString(n.digits[:n.point])
		b.WriteByte('.')
		b.WriteString(n.digits[n.point:])
	}
	return b.String()
}

// sortKey is a string whose byte order is the numeric order.
func (n number) sortKey() string {
	if n.digits == "" {
		return "1"
	}
	// Biased by 500 so that the exponent has three digits.
	key := strconv.Itoa(n.point+500) + n.digits
	if !n.neg {
		return "2" + key
	}
	// Nines' complement reverses the order; ':' is above every digit, so that a
	// longer (more negative) number sorts below its prefix.
	flipped := []byte("0" + key + ":")
	for i := 1; i < len(flipped)-1; i++ {
		flipped[i] = '0' + '9' - flipped[i]
	}
	return string(flipped)
}

func (n number) compare(o number) int { return strings.Compare(n.sortKey(), o.sortKey()) }

// size is the number of bytes that DynamoDB counts: one, one for each pair of
// digits, and one for a minus. Pairs are aligned at the decimal point, so 1.1
// has two of them: DynamoDB Local counts so.
func (n number) size() int {
	if n.digits == "" {
		return 1
	}
	size := 1 + (len(n.digits)+n.point&1+1)/2
	if n.neg {
		size++
	}
	return size
}

func (n number) negate() number {
	if n.digits != "" {
		n.neg = !n.neg
	}
	return n
}

// add is exact; a sum that needs more than 38 digits is refused by check.
func (n number) add(o number) number {
	if n.digits == "" {
		return o
	}
	if o.digits == "" {
		return n
	}
	low := min(n.point-len(n.digits), o.point-len(o.digits))
	high := max(n.point, o.point)
	a, b := n.align(low, high), o.align(low, high)
	if n.neg == o.neg {
		return makeNumber(n.neg, addDigits(a, b), high+1)
	}
	if a < b {
		a, b, n.neg = b, a, o.neg
	}
	return makeNumber(n.neg, subDigits(a, b), high)
}

// align pads the digits so that they span the decimal places low to high.
func (n number) align(low, high int) string {
	return strings.Repeat("0", high-n.point) + n.digits + strings.Repeat("0", n.point-len(n.digits)-low)
}

// addDigits adds two numbers of equal length; the sum is one digit longer.
func addDigits(a, b string) string {
	sum := make([]byte, len(a)+1)
	carry := byte(0)
	for i := len(a) - 1; i >= 0; i-- {
		d := a[i] - '0' + b[i] - '0' + carry
		sum[i+1], carry = '0'+d%10, d/10
	}
	sum[0] = '0' + carry
	return string(sum)
}

// subDigits subtracts b from a, both of equal length and a the larger.
func subDigits(a, b string) string {
	diff := make([]byte, len(a))
	borrow := byte(0)
	for i := len(a) - 1; i >= 0; i-- {
		d := 10 + a[i] - b[i] - borrow
		diff[i], borrow = '0'+d%10, 1-d/10
	}
	return string(diff)
}
