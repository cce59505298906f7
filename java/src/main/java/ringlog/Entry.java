package ringlog;

import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Arrays;

/**
 * The values of one entry: a copy, whole, that stays until its reader polls again. To take columns by
 * {@link Column} spares the search for their names.
 */
public final class Entry {
    private static final byte[] NONE = {};

    private final Schema schema;
    private final int size;
    /** The words of the record: columns, and of a body in the slot its head and bytes. */
    final byte[] record;
    /** For bodies that are not in their slot. */
    private byte[] room = NONE;
    private byte[] body = NONE;
    private int bodyAt;
    private int bodyLength;

    Entry(Header header) {
        schema = header.schema();
        size = header.columnsSize();
        record = new byte[(int) Layout.roundUp(header.entrySize(), 8) + 8];
    }

    byte[] room(int length) {
        if (room.length < length + 7) {
            room = new byte[(int) Math.min(Layout.roundUp(length + length / 2L, 8) + 8, Integer.MAX_VALUE - 8)];
        }
        return room;
    }

    void body(byte[] bytes, int at, int length) {
        body = bytes;
        bodyAt = at;
        bodyLength = length;
    }

    /** Returns the columns of the log. */
    public Schema schema() {
        return schema;
    }

    /** Returns the value of an integer, a timestamp, or a decimal's units; of a u64, its bits. */
    public long getLong(Column column) {
        int at = column.offset();
        return switch (column.type()) {
            case U8, BOOL -> record[at] & 0xFF;
            case I8 -> record[at];
            case U16 -> Bytes.getShort(record, at) & 0xFFFF;
            case I16 -> Bytes.getShort(record, at);
            case U32 -> Bytes.getInt(record, at) & 0xFFFF_FFFFL;
            case I32 -> Bytes.getInt(record, at);
            case U64, I64, TIMESTAMP, DECIMAL -> Bytes.getLong(record, at);
            default -> throw wrong(column, "an integer");
        };
    }

    /** Returns the value of an integer of at most 32 bits. */
    public int getInt(Column column) {
        return switch (column.type()) {
            case U8, I8, U16, I16, I32 -> (int) getLong(column);
            default -> throw wrong(column, "an int");
        };
    }

    /** Returns the value of a float, of an integer, or of a decimal, as near as a double comes to it. */
    public double getDouble(Column column) {
        return switch (column.type()) {
            case F32 -> Float.intBitsToFloat(Bytes.getInt(record, column.offset()));
            case F64 -> Double.longBitsToDouble(Bytes.getLong(record, column.offset()));
            case DECIMAL -> getDecimal(column).doubleValue();
            case U64 -> unsigned(getLong(column));
            default -> getLong(column);
        };
    }

    private static double unsigned(long bits) {
        return bits >= 0 ? bits : new BigDecimal(Long.toUnsignedString(bits)).doubleValue();
    }

    /** Returns the value of an f32. */
    public float getFloat(Column column) {
        if (column.type() != Column.Type.F32) {
            throw wrong(column, "a float");
        }
        return Float.intBitsToFloat(Bytes.getInt(record, column.offset()));
    }

    /** Returns the value of a bool. */
    public boolean getBoolean(Column column) {
        if (column.type() != Column.Type.BOOL) {
            throw wrong(column, "a bool");
        }
        return record[column.offset()] != 0;
    }

    /** Returns the value of a text. */
    public String getText(Column column) {
        if (column.type() != Column.Type.TEXT) {
            throw wrong(column, "a text");
        }
        int begin = column.offset();
        int end = begin;
        while (end < begin + column.size() && record[end] != 0) {
            end++;
        }
        return new String(record, begin, end - begin, StandardCharsets.UTF_8);
    }

    /** Returns the value of a decimal, with all its places. */
    public BigDecimal getDecimal(Column column) {
        if (column.type() != Column.Type.DECIMAL) {
            throw wrong(column, "a decimal");
        }
        return BigDecimal.valueOf(Bytes.getLong(record, column.offset()), column.scale());
    }

    /** Returns the value of a timestamp. */
    public Instant getInstant(Column column) {
        if (column.type() != Column.Type.TIMESTAMP) {
            throw wrong(column, "a timestamp");
        }
        long ns = Bytes.getLong(record, column.offset());
        return Instant.ofEpochSecond(Math.floorDiv(ns, 1_000_000_000L), Math.floorMod(ns, 1_000_000_000L));
    }

    /** Returns the value of the column of a name, as {@link #getLong(Column)}. */
    public long getLong(String name) {
        return getLong(schema.column(name));
    }

    /** Returns the value of the column of a name, as {@link #getInt(Column)}. */
    public int getInt(String name) {
        return getInt(schema.column(name));
    }

    /** Returns the value of the column of a name, as {@link #getDouble(Column)}. */
    public double getDouble(String name) {
        return getDouble(schema.column(name));
    }

    /** Returns the value of the column of a name, as {@link #getBoolean(Column)}. */
    public boolean getBoolean(String name) {
        return getBoolean(schema.column(name));
    }

    /** Returns the value of the column of a name, as {@link #getText(Column)}. */
    public String getText(String name) {
        return getText(schema.column(name));
    }

    /** Returns the value of the column of a name, as {@link #getDecimal(Column)}. */
    public BigDecimal getDecimal(String name) {
        return getDecimal(schema.column(name));
    }

    /** Returns the value of the column of a name, as {@link #getInstant(Column)}. */
    public Instant getInstant(String name) {
        return getInstant(schema.column(name));
    }

    /** Returns the bytes of the record without its body. */
    public byte[] bytes() {
        return Arrays.copyOf(record, size);
    }

    /** Returns the bytes of the body; of an entry without one, none. */
    public byte[] body() {
        return Arrays.copyOfRange(body, bodyAt, bodyAt + bodyLength);
    }

    /** Returns the bytes of the body without another copy; they stay until the next poll. */
    public ByteBuffer bodyBuffer() {
        return ByteBuffer.wrap(body, bodyAt, bodyLength).slice().asReadOnlyBuffer();
    }

    /** Returns how many bytes the body has. */
    public int bodyLength() {
        return bodyLength;
    }

    /** Returns the body as text; what is not UTF-8 is U+FFFD. */
    public String bodyText() {
        return new String(body, bodyAt, bodyLength, StandardCharsets.UTF_8);
    }

    private static RinglogException wrong(Column column, String wanted) {
        return RinglogException.invalid("column `" + column.name() + "` is " + column.typeName() + ", not " + wanted);
    }
}
