package ringlog;

/** A column of a log: its name, its type, and where it is in the record. */
public final class Column {
    /** How a column is encoded; {@code text}, {@code decimal} stand in a schema with a number behind them. */
    public enum Type {
        /** Unsigned, 1 byte. */
        U8(1),
        /** Unsigned, 2 bytes. */
        U16(2),
        /** Unsigned, 4 bytes. */
        U32(4),
        /** Unsigned, 8 bytes. */
        U64(8),
        /** Signed, 1 byte. */
        I8(1),
        /** Signed, 2 bytes. */
        I16(2),
        /** Signed, 4 bytes. */
        I32(4),
        /** Signed, 8 bytes. */
        I64(8),
        /** IEEE 754, 4 bytes. */
        F32(4),
        /** IEEE 754, 8 bytes. */
        F64(8),
        /** One byte: 0 or 1. */
        BOOL(1),
        /** Nanoseconds since the Unix epoch. */
        TIMESTAMP(8),
        /** UTF-8, as many bytes as the schema says. */
        TEXT(0),
        /** An integer of as many decimal places as the schema says. */
        DECIMAL(8);

        private final int size;

        Type(int size) {
            this.size = size;
        }
    }

    private final String name;
    private final Type type;
    private final int number;
    private final int offset;
    /** The integers that it takes; of a u64 all, as their bits. */
    final long least;
    final long greatest;

    Column(String name, Type type, int number, int offset) {
        this.name = name;
        this.type = type;
        this.number = number;
        this.offset = offset;
        least = switch (type) {
            case I8 -> Byte.MIN_VALUE;
            case I16 -> Short.MIN_VALUE;
            case I32 -> Integer.MIN_VALUE;
            case U8, U16, U32, BOOL -> 0;
            default -> Long.MIN_VALUE;
        };
        greatest = switch (type) {
            case I8 -> Byte.MAX_VALUE;
            case I16 -> Short.MAX_VALUE;
            case I32 -> Integer.MAX_VALUE;
            case U8 -> 0xFF;
            case U16 -> 0xFFFF;
            case U32 -> 0xFFFF_FFFFL;
            case BOOL -> 1;
            default -> Long.MAX_VALUE;
        };
    }

    /** Returns the type that a schema calls so, at offset 0; null if there is none. */
    static Column typed(String name, String type) {
        for (Type known : Type.values()) {
            String begin = known.name().toLowerCase(java.util.Locale.ROOT);
            if (known == Type.TEXT || known == Type.DECIMAL) {
                if (type.startsWith(begin)) {
                    int number = Schema.number(type.substring(begin.length()), known == Type.TEXT ? 65535 : 18);
                    boolean fits = number >= (known == Type.TEXT ? 1 : 0);
                    return fits ? new Column(name, known, number, 0) : null;
                }
            } else if (type.equals(begin)) {
                return new Column(name, known, 0, 0);
            }
        }
        return null;
    }

    Column at(int offset) {
        return new Column(name, type, number, offset);
    }

    /** Returns the name. */
    public String name() {
        return name;
    }

    /** Returns how it is encoded. */
    public Type type() {
        return type;
    }

    /** Returns the decimal places of a decimal; 0 for any other column. */
    public int scale() {
        return type == Type.DECIMAL ? number : 0;
    }

    /** Returns the bytes it takes. */
    public int size() {
        return type == Type.TEXT ? number : type.size;
    }

    /** Returns where it is, in bytes from the beginning of the record. */
    public int offset() {
        return offset;
    }

    int alignment() {
        return type == Type.TEXT ? 1 : type.size;
    }

    /** Returns its type as a schema writes it: {@code text8}. */
    public String typeName() {
        String begin = type.name().toLowerCase(java.util.Locale.ROOT);
        return type == Type.TEXT || type == Type.DECIMAL ? begin + number : begin;
    }

    @Override
    public String toString() {
        return name + " " + typeName() + " " + offset;
    }
}
