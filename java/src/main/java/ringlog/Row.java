package ringlog;

import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Arrays;

/**
 * The values of an entry that is to be appended. A row can be used again and again; what is not set stays as
 * it was, at first zero.
 */
public final class Row {
    private static final byte[] NONE = {};

    private final Schema schema;
    final byte[] record;
    byte[] body = NONE;
    int bodyAt;
    int bodyLength;

    Row(Schema schema) {
        this.schema = schema;
        record = new byte[(int) Layout.roundUp(schema.columnsSize(), 8)];
    }

    /** Returns the columns of the log. */
    public Schema schema() {
        return schema;
    }

    /** Sets an integer, a bool, a timestamp in ns, or the units of a decimal. */
    public Row set(Column column, long value) {
        if (value < column.least || value > column.greatest) {
            throw RinglogException.invalid("column `" + column.name() + "`: " + value + " is not a value of "
                    + column.typeName() + ", from " + column.least + " to " + column.greatest);
        }
        int at = column.offset();
        switch (column.type()) {
            case U8, I8, BOOL -> record[at] = (byte) value;
            case U16, I16 -> Bytes.putShort(record, at, (short) value);
            case U32, I32 -> Bytes.putInt(record, at, (int) value);
            case U64, I64, TIMESTAMP, DECIMAL -> Bytes.putLong(record, at, value);
            default -> set(column, (double) value);
        }
        return this;
    }

    /** Sets a float. */
    public Row set(Column column, double value) {
        switch (column.type()) {
            case F32 -> Bytes.putInt(record, column.offset(), Float.floatToRawIntBits((float) value));
            case F64 -> Bytes.putLong(record, column.offset(), Double.doubleToRawLongBits(value));
            default -> throw wrong(column, "a float");
        }
        return this;
    }

    /** Sets a bool. */
    public Row set(Column column, boolean value) {
        if (column.type() != Column.Type.BOOL) {
            throw wrong(column, "a bool");
        }
        record[column.offset()] = (byte) (value ? 1 : 0);
        return this;
    }

    /** Sets a text; one that is too long is cut between two characters. */
    public Row set(Column column, String value) {
        if (column.type() != Column.Type.TEXT) {
            throw wrong(column, "a text");
        }
        int begin = column.offset();
        int end = begin + column.size();
        int at = begin;
        for (int i = 0; i < value.length() && at < end; i++) {
            char letter = value.charAt(i);
            if (letter >= 0x80) {
                return setEncoded(column, value);
            }
            record[at++] = (byte) letter;
        }
        Arrays.fill(record, at, end, (byte) 0);
        return this;
    }

    private Row setEncoded(Column column, String value) {
        byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
        int length = Math.min(bytes.length, column.size());
        while (length > 0 && length < bytes.length && (bytes[length] & 0xC0) == 0x80) {
            length--;
        }
        System.arraycopy(bytes, 0, record, column.offset(), length);
        Arrays.fill(record, column.offset() + length, column.offset() + column.size(), (byte) 0);
        return this;
    }

    /** Sets a decimal, which has to be exact. */
    public Row set(Column column, BigDecimal value) {
        if (column.type() != Column.Type.DECIMAL) {
            throw wrong(column, "a decimal");
        }
        try {
            Bytes.putLong(record, column.offset(), value.setScale(column.scale()).unscaledValue().longValueExact());
        } catch (ArithmeticException e) {
            throw RinglogException.invalid("column `" + column.name() + "`: " + value + " is not a value of "
                    + column.typeName() + ": at most " + column.scale() + " decimal places, and 19 digits in all");
        }
        return this;
    }

    /** Sets a timestamp. */
    public Row set(Column column, Instant value) {
        if (column.type() != Column.Type.TIMESTAMP) {
            throw wrong(column, "a timestamp");
        }
        try {
            long ns = Math.multiplyExact(value.getEpochSecond(), 1_000_000_000L);
            Bytes.putLong(record, column.offset(), Math.addExact(ns, value.getNano()));
        } catch (ArithmeticException e) {
            throw RinglogException.invalid("column `" + column.name() + "`: " + value + " is not within 292 years of 1970");
        }
        return this;
    }

    /** Sets the column of a name, as {@link #set(Column, long)}. */
    public Row set(String name, long value) {
        return set(schema.column(name), value);
    }

    /** Sets the column of a name, as {@link #set(Column, double)}. */
    public Row set(String name, double value) {
        return set(schema.column(name), value);
    }

    /** Sets the column of a name, as {@link #set(Column, boolean)}. */
    public Row set(String name, boolean value) {
        return set(schema.column(name), value);
    }

    /** Sets the column of a name, as {@link #set(Column, String)}. */
    public Row set(String name, String value) {
        return set(schema.column(name), value);
    }

    /** Sets the column of a name, as {@link #set(Column, BigDecimal)}. */
    public Row set(String name, BigDecimal value) {
        return set(schema.column(name), value);
    }

    /** Sets the column of a name, as {@link #set(Column, Instant)}. */
    public Row set(String name, Instant value) {
        return set(schema.column(name), value);
    }

    /** Sets the body. The bytes are not copied before the row is appended. */
    public Row body(byte[] bytes) {
        return body(bytes, 0, bytes.length);
    }

    /** Sets the body to a part of an array. The bytes are not copied before the row is appended. */
    public Row body(byte[] bytes, int from, int length) {
        if (!schema.hasBody()) {
            throw RinglogException.invalid("this log's entries have no body; make one whose schema ends in a body");
        }
        java.util.Objects.checkFromIndexSize(from, length, bytes.length);
        body = bytes;
        bodyAt = from;
        bodyLength = length;
        return this;
    }

    /** Sets the body to a text, as UTF-8. */
    public Row body(String text) {
        return body(text.getBytes(StandardCharsets.UTF_8));
    }

    /** Sets all columns to zero, and the body to none. */
    public Row clear() {
        Arrays.fill(record, (byte) 0);
        clearBody();
        return this;
    }

    /** Lets go of the body's array. */
    void clearBody() {
        body = NONE;
        bodyAt = 0;
        bodyLength = 0;
    }

    private static RinglogException wrong(Column column, String given) {
        return RinglogException.invalid("column `" + column.name() + "` is " + column.typeName() + ", not " + given);
    }
}
