package ringlog

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Kind is what a column holds.
type Kind uint8

// The kinds of columns.
const (
	U8 Kind = iota
	U16
	U32
	U64
	I8
	I16
	I32
	I64
	F32
	F64
	Bool
	Timestamp // nanoseconds since the Unix epoch
	Text      // of Type.N bytes
	Decimal   // with Type.N digits behind the point
)

// The names in a schema, and the bytes, of all kinds but Text and Decimal.
var kinds = [...]struct {
	name string
	size int
}{
	{"u8", 1}, {"u16", 2}, {"u32", 4}, {"u64", 8}, {"i8", 1}, {"i16", 2}, {"i32", 4}, {"i64", 8},
	{"f32", 4}, {"f64", 8}, {"bool", 1}, {"timestamp", 8},
}

// Type is a column's type: its kind, and the number behind it.
type Type struct {
	Kind Kind
	N    int
}

// String returns the type as a schema names it: "u32", "text8", "decimal4".
func (t Type) String() string {
	switch t.Kind {
	case Text:
		return "text" + strconv.Itoa(t.N)
	case Decimal:
		return "decimal" + strconv.Itoa(t.N)
	}
	return kinds[t.Kind].name
}

// Size returns the bytes that the column takes.
func (t Type) Size() int {
	switch t.Kind {
	case Text:
		return t.N
	case Decimal:
		return 8
	}
	return kinds[t.Kind].size
}

func parseType(text string) (Type, bool) {
	for kind, it := range kinds {
		if it.name == text {
			return Type{Kind: Kind(kind)}, true
		}
	}
	if digits, ok := strings.CutPrefix(text, "text"); ok {
		n, ok := parseNumber(digits)
		return Type{Text, n}, ok && n >= 1 && n <= 65535
	}
	if digits, ok := strings.CutPrefix(text, "decimal"); ok {
		n, ok := parseNumber(digits)
		return Type{Decimal, n}, ok && n <= 18
	}
	return Type{}, false
}

// parseNumber takes decimal digits, without sign or leading zeros.
func parseNumber(digits string) (int, bool) {
	n, err := strconv.ParseUint(digits, 10, 31)
	return int(n), err == nil && strconv.FormatUint(n, 10) == digits
}

// A Column is a named part of a record.
type Column struct {
	Name   string
	Type   Type
	Offset int
}

// bytes returns the column's part of a record.
func (c Column) bytes(record []byte) []byte { return record[c.Offset:][:c.Type.Size()] }

// bits returns the column's integer, or the bits of its float.
func (c Column) bits(record []byte) uint64 {
	var word [8]byte
	copy(word[:], c.bytes(record))
	return binary.LittleEndian.Uint64(word[:])
}

// signed returns the integer of a column with a sign.
func (c Column) signed(record []byte) int64 {
	unused := 64 - 8*c.Type.Size()
	return int64(c.bits(record)<<unused) >> unused
}

// Value returns what the column holds in a record: a uint64, int64, float32, float64, bool, time.Time or string. A
// decimal is its text, which is exact.
func (c Column) Value(record []byte) any {
	switch c.Type.Kind {
	case U8, U16, U32, U64:
		return c.bits(record)
	case I8, I16, I32, I64:
		return c.signed(record)
	case F32:
		return math.Float32frombits(uint32(c.bits(record)))
	case F64:
		return math.Float64frombits(c.bits(record))
	case Bool:
		return c.bits(record) != 0
	case Timestamp:
		return time.Unix(0, c.signed(record)).UTC()
	}
	return c.Format(record)
}

// Format returns what the column holds in a record as the text that the stock reporter writes to CSV, without quotes.
func (c Column) Format(record []byte) string {
	switch c.Type.Kind {
	case U8, U16, U32, U64:
		return strconv.FormatUint(c.bits(record), 10)
	case F32:
		return formatFloat(float64(math.Float32frombits(uint32(c.bits(record)))), 32)
	case F64:
		return formatFloat(math.Float64frombits(c.bits(record)), 64)
	case Bool:
		return strconv.FormatBool(c.bits(record) != 0)
	case Text:
		return TextOf(c.bytes(record))
	case Decimal:
		return formatDecimal(c.signed(record), c.Type.N)
	}
	return strconv.FormatInt(c.signed(record), 10)
}

// TextOf returns what a text column holds: what is before the first NUL. A part that is not UTF-8 becomes U+FFFD.
func TextOf(column []byte) string {
	text := string(column)
	if end := strings.IndexByte(text, 0); end >= 0 {
		text = text[:end]
	}
	if utf8.ValidString(text) {
		return text
	}
	var valid strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		if r == utf8.RuneError && size == 1 {
			size = maximalPart(text)
		}
		valid.WriteRune(r)
		text = text[size:]
	}
	return valid.String()
}

// maximalPart returns how many bytes the text, which does not begin with a character, has of one.
func maximalPart(text string) int {
	least, most, more := byte(0x80), byte(0xBF), 0
	switch first := text[0]; {
	case first >= 0xC2 && first <= 0xDF:
		more = 1
	case first >= 0xE0 && first <= 0xEF:
		more = 2
		switch first {
		case 0xE0:
			least = 0xA0
		case 0xED:
			most = 0x9F
		}
	case first >= 0xF0 && first <= 0xF4:
		more = 3
		switch first {
		case 0xF0:
			least = 0x90
		case 0xF4:
			most = 0x8F
		}
	}
	size := 1
	for size <= more && size < len(text) && text[size] >= least && text[size] <= most {
		least, most = 0x80, 0xBF
		size++
	}
	return size
}

// SetText stores a text in a text column, and fills the rest with NUL. What does not fit is left out; no character is
// cut.
func SetText(column []byte, text string) {
	if len(text) > len(column) {
		end := len(column)
		for end > 0 && !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end]
	}
	clear(column[copy(column, text):])
}

func formatDecimal(units int64, scale int) string {
	sign, digits := "", strconv.FormatUint(uint64(units), 10)
	if units < 0 {
		sign, digits = "-", strconv.FormatUint(-uint64(units), 10)
	}
	if scale == 0 {
		return sign + digits
	}
	if missing := scale + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	point := len(digits) - scale
	return sign + digits[:point] + "." + digits[point:]
}

// formatFloat writes a float with the fewest digits that read back.
func formatFloat(number float64, bits int) string {
	switch {
	case math.IsNaN(number):
		return "NaN"
	case math.IsInf(number, 0):
		return strings.TrimPrefix(strings.ToLower(strconv.FormatFloat(number, 'g', -1, 64)), "+")
	}
	text := strconv.FormatFloat(number, 'e', -1, bits)
	mantissa, exponent, _ := strings.Cut(text, "e")
	power, _ := strconv.Atoi(exponent)
	least, most := -5, 15
	if bits == 32 {
		least, most = -6, 12
	}
	if number != 0 && (power < least || power > most) {
		sign := ""
		if power > 0 {
			sign = "+"
		}
		return mantissa + "e" + sign + strconv.Itoa(power)
	}
	text = strconv.FormatFloat(number, 'f', -1, bits)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

// BodyKind is what the body behind a record is.
type BodyKind string

// The kinds of bodies.
const (
	NoBody      BodyKind = ""
	BytesBody   BodyKind = "bytes"
	TextBody    BodyKind = "text"
	JSONBody    BodyKind = "json"
	MsgPackBody BodyKind = "msgpack"
)

// A Schema says what a log's records are made of.
type Schema struct {
	Columns []Column
	Body    BodyKind // what a record ends in
	// BodyName is the name of the body, if there is one.
	BodyName string
	// Size is the bytes of a record before its body.
	Size int
}

// Column returns the column of a name.
func (s *Schema) Column(name string) (Column, bool) {
	for _, column := range s.Columns {
		if column.Name == name {
			return column, true
		}
	}
	return Column{}, false
}

// String returns the schema as it stands in a log, one column a line.
func (s *Schema) String() string {
	var text strings.Builder
	for _, column := range s.Columns {
		fmt.Fprintf(&text, "%s %s %d\n", column.Name, column.Type, column.Offset)
	}
	if s.Body != NoBody {
		fmt.Fprintf(&text, "%s %s %d\n", s.BodyName, s.Body, s.Size)
	}
	return text.String()
}

// ParseSchema takes the text of a schema, one column a line with its name, type and offset, and the bytes of a record
// before its body.
func ParseSchema(text string, size int) (*Schema, error) {
	schema := &Schema{Size: size}
	wrong := func(format string, values ...any) (*Schema, error) {
		return nil, fmt.Errorf("schema: "+format+"; a line is a name, a type and an offset: %w", append(values, ErrInvalid)...)
	}
	if len(text) > schemaMax {
		return wrong("it has %d bytes, and at most %d are possible", len(text), schemaMax)
	}
	if !utf8.ValidString(text) {
		return wrong("it is not UTF-8")
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		return wrong("its last line has no end")
	}
	taken := map[string]bool{"seq": true}
	for rest := text; rest != ""; {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		fields := strings.Split(line, " ")
		if len(fields) != 3 {
			return wrong("%q is no column", line)
		}
		name, offsetText := fields[0], fields[2]
		offset, isNumber := parseNumber(offsetText)
		if !isName(name) || taken[name] || !isNumber {
			return wrong("%q is no column, or there are two of it", line)
		}
		taken[name] = true
		switch kind := BodyKind(fields[1]); kind {
		case BytesBody, TextBody, JSONBody, MsgPackBody:
			if rest != "" || offset != size {
				return wrong("the body %q is not the end of the record", name)
			}
			schema.Body, schema.BodyName = kind, name
			continue
		}
		kind, isType := parseType(fields[1])
		if !isType {
			return wrong("%q is no type", fields[1])
		}
		if offset+kind.Size() > size {
			return wrong("%q ends behind the record's %d bytes", line, size)
		}
		schema.Columns = append(schema.Columns, Column{name, kind, offset})
	}
	if len(schema.Columns) == 0 && schema.Body == NoBody {
		return wrong("it has no column")
	}
	return schema, nil
}

func isName(name string) bool {
	for i, c := range []byte(name) {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}
