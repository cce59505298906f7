package ringlog;

import static ringlog.Layout.roundUp;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** What the entries of a log are made of: columns, and behind them perhaps a body. */
public final class Schema {
    private static final List<String> BODIES = List.of("bytes", "text", "json", "msgpack");

    private final List<Column> columns;
    private final Map<String, Column> byName = new HashMap<>();
    private final String bodyName;
    private final String bodyKind;
    private final int columnsSize;

    private Schema(List<Column> columns, String bodyName, String bodyKind, int columnsSize) {
        this.columns = List.copyOf(columns);
        this.bodyName = bodyName;
        this.bodyKind = bodyKind;
        this.columnsSize = columnsSize;
        columns.forEach(column -> byName.put(column.name(), column));
    }

    /**
     * Makes a schema of names and types, each column where a C compiler puts it:
     * {@code time:timestamp,symbol:text8,price:decimal4,size:u32}. The last one may be a body, which has any
     * length: {@code message:text}, or {@code bytes}, {@code json}, {@code msgpack}.
     *
     * @throws RinglogException if that is no schema
     */
    public static Schema of(String columns) {
        var found = new ArrayList<Column>();
        String bodyName = null;
        String bodyKind = null;
        int end = 0;
        int alignment = 1;
        for (String item : columns.split(",")) {
            String[] halves = item.trim().split(":", -1);
            if (halves.length != 2 || bodyKind != null) {
                throw RinglogException.invalid("`" + item + "`: not a column; write name:type, and a body last");
            }
            checkName(halves[0], name -> found.stream().anyMatch(column -> column.name().equals(name)));
            if (BODIES.contains(halves[1])) {
                bodyName = halves[0];
                bodyKind = halves[1];
                continue;
            }
            Column column = Column.typed(halves[0], halves[1]);
            if (column == null) {
                throw RinglogException.invalid("`" + item + "`: `" + halves[1] + "` is no type; one of u8 to u64, i8 to"
                        + " i64, f32, f64, bool, timestamp, textN, decimalN, and for a body bytes, text, json, msgpack");
            }
            column = column.at((int) roundUp(end, column.alignment()));
            found.add(column);
            end = column.offset() + column.size();
            alignment = Math.max(alignment, column.alignment());
        }
        int size = (int) roundUp(end, bodyKind == null ? alignment : 8);
        Schema schema = new Schema(found, bodyName, bodyKind, size);
        if (size > Layout.ENTRY_MAX || schema.text().length() > Layout.SCHEMA_MAX) {
            throw RinglogException.invalid("a record of " + size + " bytes, a schema of " + schema.text().length()
                    + ": at most " + Layout.ENTRY_MAX + " and " + Layout.SCHEMA_MAX + " bytes");
        }
        return schema;
    }

    /**
     * Makes a schema of a Java record's components: {@code long} is an i64, {@code int} an i32, {@code double}
     * an f64, {@code boolean} a bool, {@link java.time.Instant} a timestamp, and {@link Typed} says another.
     *
     * @throws RinglogException if a component has no type of its own and no {@code Typed}
     */
    public static Schema of(Class<? extends Record> type) {
        return of(RecordView.columnsOf(type));
    }

    /** Reads the text in a log's header. */
    static Schema parse(String log, String text, int entrySize, int inlineSize) {
        boolean hasBody = inlineSize > 0;
        int columnsSize = hasBody ? entrySize - inlineSize - 8 : entrySize;
        if (!text.isEmpty() && !text.endsWith("\n")) {
            throw bad(log, "its last line has no end");
        }
        var found = new ArrayList<Column>();
        String bodyName = null;
        String bodyKind = null;
        String[] lines = text.isEmpty() ? new String[0] : text.substring(0, text.length() - 1).split("\n", -1);
        for (int i = 0; i < lines.length; i++) {
            String line = lines[i];
            String[] words = line.split(" ", -1);
            if (words.length != 3) {
                throw bad(log, "`" + line + "` is not a name, a type and an offset");
            }
            try {
                checkName(words[0], name -> found.stream().anyMatch(column -> column.name().equals(name)));
            } catch (RinglogException e) {
                throw bad(log, e.getMessage());
            }
            int offset = number(words[2], entrySize);
            if (hasBody && i == lines.length - 1) {
                if (!BODIES.contains(words[1]) || offset != columnsSize) {
                    throw bad(log, "`" + line + "` is no body at " + columnsSize);
                }
                bodyName = words[0];
                bodyKind = words[1];
                continue;
            }
            Column column = Column.typed(words[0], words[1]);
            if (column == null || offset < 0 || offset + column.size() > columnsSize) {
                throw bad(log, "`" + line + "` is no column within " + columnsSize + " bytes");
            }
            found.add(column.at(offset));
        }
        if (lines.length == 0) {
            throw bad(log, "it has no column");
        }
        return new Schema(found, bodyName, bodyKind, columnsSize);
    }

    private static RinglogException bad(String log, String why) {
        return RinglogException.unusable(log, "its schema cannot be read: " + why);
    }

    private static void checkName(String name, java.util.function.Predicate<String> isThere) {
        if (!name.matches("[A-Za-z_][A-Za-z0-9_]*") || name.equals("seq")) {
            throw RinglogException.invalid("`" + name + "`: no name of a column: letters, digits and _, and not `seq`");
        }
        if (isThere.test(name)) {
            throw RinglogException.invalid("`" + name + "`: two columns have this name");
        }
    }

    /** Reads a decimal number without sign or leading zeros; -1 if it is none, or above the most. */
    static int number(String text, int most) {
        if (!text.matches("0|[1-9][0-9]{0,8}")) {
            return -1;
        }
        int number = Integer.parseInt(text);
        return number <= most ? number : -1;
    }

    /** Returns the columns, in the schema's order. */
    public List<Column> columns() {
        return columns;
    }

    /**
     * Returns the column of a name.
     *
     * @throws RinglogException if there is none
     */
    public Column column(String name) {
        Column column = byName.get(name);
        if (column == null) {
            throw RinglogException.invalid("`" + name + "`: no such column; there are " + String.join(", ", names()));
        }
        return column;
    }

    Column find(String name) {
        return byName.get(name);
    }

    private List<String> names() {
        var names = new ArrayList<String>();
        columns.forEach(column -> names.add(column.name()));
        if (hasBody()) {
            names.add(bodyName + " (the body)");
        }
        return names;
    }

    /** Returns whether each entry ends in a body. */
    public boolean hasBody() {
        return bodyKind != null;
    }

    /** Returns what is in bodies: {@code bytes}, {@code text}, {@code json}, {@code msgpack}; null without one. */
    public String bodyKind() {
        return bodyKind;
    }

    /** Returns what the body is called; null without one. */
    public String bodyName() {
        return bodyName;
    }

    /** Returns the bytes of a record without its body. */
    int columnsSize() {
        return columnsSize;
    }

    /** Returns what a log's header says: a line a column. */
    public String text() {
        var text = new StringBuilder();
        columns.forEach(column -> text.append(column).append('\n'));
        if (hasBody()) {
            text.append(bodyName).append(' ').append(bodyKind).append(' ').append(columnsSize).append('\n');
        }
        return text.toString();
    }

    byte[] bytes() {
        return text().getBytes(StandardCharsets.US_ASCII);
    }

    /** Returns the first line in which this schema and another differ; null if there is none. */
    String difference(Schema other) {
        String[] ours = text().split("\n");
        String[] theirs = other.text().split("\n");
        for (int i = 0; i < Math.max(ours.length, theirs.length); i++) {
            String here = i < ours.length ? "`" + ours[i] + "`" : "nothing";
            String there = i < theirs.length ? "`" + theirs[i] + "`" : "nothing";
            if (!here.equals(there)) {
                return "it has " + here + ", where " + there + " was expected";
            }
        }
        return columnsSize == other.columnsSize
                ? null
                : "its records have " + columnsSize + " bytes, where " + other.columnsSize + " were expected";
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Schema schema && difference(schema) == null;
    }

    @Override
    public int hashCode() {
        return Objects.hash(text(), columnsSize);
    }

    @Override
    public String toString() {
        return text();
    }
}
