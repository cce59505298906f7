package ringlog

import (
	"fmt"
	"reflect"
	"strings"
	"unsafe"
)

// A Typed takes the records of a log for a Go struct: see [For].
type Typed[T any] struct {
	size int
}

// For checks that T is a struct that is laid out as the log's records are, and returns what takes them for one another.
//
// Each field is a column, in order. It is named as the field, in small letters, or as the tag ringlog says:
//
//	type Trade struct {
//		Time   int64   `ringlog:"time,timestamp"`
//		Symbol [8]byte            // symbol text8
//		Price  int64   `ringlog:"price,decimal4"`
//		Size   uint32             // size u32
//		_      [4]byte            // no column
//	}
//
// Integers, floats and arrays of bytes have the types of that name. An int64 with the tag timestamp or decimalN, and a
// uint8 with the tag bool, have those. A blank field, or one with the tag "-", is no column.
func For[T any](log *Log) (Typed[T], error) {
	schema, err := SchemaOf[T](NoBody)
	if err != nil {
		return Typed[T]{}, failed(log.name, ErrInvalid, "%v", err)
	}
	if difference := differ(schema, log.schema); difference != "" {
		return Typed[T]{}, failed(log.name, ErrInvalid, "%s is not what its records are: %s", reflect.TypeFor[T](), difference)
	}
	return Typed[T]{schema.Size}, nil
}

// differ returns in what a struct's columns are others than a log's.
func differ(asked, is *Schema) string {
	for i, column := range is.Columns {
		if i == len(asked.Columns) {
			return fmt.Sprintf("column %q is missing", column.Name)
		}
		if other := asked.Columns[i]; other != column {
			return fmt.Sprintf("column %q is of type %s at byte %d, where it has %q of type %s at byte %d",
				column.Name, column.Type, column.Offset, other.Name, other.Type, other.Offset)
		}
	}
	switch more := len(is.Columns); {
	case len(asked.Columns) > more:
		return fmt.Sprintf("there is no column %q", asked.Columns[more].Name)
	case asked.Size != is.Size:
		return fmt.Sprintf("they have %d bytes, and it has %d", is.Size, asked.Size)
	}
	return ""
}

// Of returns the bytes of a record as the struct. It is in those bytes, and lasts as long as they do: copy it to keep it.
func (t Typed[T]) Of(record []byte) *T {
	if len(record) != t.size {
		panic(fmt.Sprintf("ringlog: a record has %d bytes, and not %d", t.size, len(record)))
	}
	return (*T)(unsafe.Pointer(unsafe.SliceData(record)))
}

// Bytes returns a record as bytes, which are those of the struct.
func (t Typed[T]) Bytes(record *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(record)), t.size)
}

// All returns several records as bytes, which are those of the structs: what AppendBatch takes, and PollBatch fills.
func (t Typed[T]) All(records []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(records))), t.size*len(records))
}

// SchemaOf returns the schema of records that are a Go struct, as [For] describes it, with a body of this kind behind them,
// which is called body.
func SchemaOf[T any](body BodyKind) (*Schema, error) {
	of := reflect.TypeFor[T]()
	if of.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s is no struct: %w", of, ErrInvalid)
	}
	schema := &Schema{Size: int(of.Size()), Body: body}
	if body != NoBody {
		schema.BodyName = "body"
	}
	for _, field := range reflect.VisibleFields(of) {
		name, kind, _ := strings.Cut(field.Tag.Get("ringlog"), ",")
		if name == "-" || field.Name == "_" {
			continue
		}
		if name == "" {
			name = strings.ToLower(field.Name)
		}
		column, ok := typeOf(field.Type, kind)
		if !ok || len(field.Index) != 1 {
			return nil, fmt.Errorf("%s: field %s cannot be a column as %s; its tag is ringlog:\"name,type\", or "+
				"\"-\" where it is none: %w", of, field.Name, field.Type, ErrInvalid)
		}
		schema.Columns = append(schema.Columns, Column{name, column, int(field.Offset)})
	}
	return ParseSchema(schema.String(), schema.Size)
}

// typeOf returns the type of a column that is a field of this type, with this tag.
func typeOf(field reflect.Type, tag string) (Type, bool) {
	var plain Type
	known := true
	switch field.Kind() {
	case reflect.Uint8:
		plain.Kind = U8
	case reflect.Uint16:
		plain.Kind = U16
	case reflect.Uint32:
		plain.Kind = U32
	case reflect.Uint64:
		plain.Kind = U64
	case reflect.Int8:
		plain.Kind = I8
	case reflect.Int16:
		plain.Kind = I16
	case reflect.Int32:
		plain.Kind = I32
	case reflect.Int64:
		plain.Kind = I64
	case reflect.Float32:
		plain.Kind = F32
	case reflect.Float64:
		plain.Kind = F64
	case reflect.Array:
		plain = Type{Text, field.Len()}
		known = field.Elem().Kind() == reflect.Uint8 && plain.N >= 1 && plain.N <= 65535
	default:
		known = false
	}
	if !known || tag == "" {
		return plain, known
	}
	asked, isType := parseType(tag)
	isAlso := plain.Kind == I64 && (asked.Kind == Timestamp || asked.Kind == Decimal) || plain.Kind == U8 && asked.Kind == Bool
	return asked, isType && (asked == plain || isAlso)
}
