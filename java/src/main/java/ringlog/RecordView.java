package ringlog;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.RecordComponent;
import java.math.BigDecimal;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;

/**
 * Entries of a log as Java records: {@link Log#view} checks each component against the log's columns, by its
 * name, {@code orderId} or {@code order_id}.
 *
 * @param <T> the record class
 */
public final class RecordView<T extends Record> {
    private static final MethodHandles.Lookup LOOKUP = MethodHandles.lookup();

    /** Of a component's class: the column types it can be, the getter of an entry, the setter of a row. */
    private record Form(Set<Column.Type> types, String getter, Class<?> set, String otherwise) {}

    private static final Map<Class<?>, Form> FORMS = Map.of(
            long.class, form("getLong", long.class, "i64", Column.Type.U8, Column.Type.U16, Column.Type.U32,
                    Column.Type.U64, Column.Type.I8, Column.Type.I16, Column.Type.I32, Column.Type.I64,
                    Column.Type.TIMESTAMP, Column.Type.DECIMAL),
            int.class, form("getInt", long.class, "i32", Column.Type.U8, Column.Type.I8, Column.Type.U16,
                    Column.Type.I16, Column.Type.I32),
            double.class, form("getDouble", double.class, "f64", Column.Type.F32, Column.Type.F64),
            float.class, form("getFloat", double.class, "f32", Column.Type.F32),
            boolean.class, form("getBoolean", boolean.class, "bool", Column.Type.BOOL),
            String.class, form("getText", String.class, null, Column.Type.TEXT),
            BigDecimal.class, form("getDecimal", BigDecimal.class, null, Column.Type.DECIMAL),
            Instant.class, form("getInstant", Instant.class, "timestamp", Column.Type.TIMESTAMP));

    private static Form form(String getter, Class<?> set, String otherwise, Column.Type... types) {
        return new Form(Set.of(types), getter, set, otherwise);
    }

    private final Schema schema;
    /** Makes a record of an entry. */
    private final MethodHandle maker;
    /** Stores all components of a record in a row: one handle, which the compiler sees through. */
    private final MethodHandle setter;

    RecordView(Schema schema, Class<T> type) {
        this.schema = schema;
        RecordComponent[] components = componentsOf(type);
        var getters = new MethodHandle[components.length];
        MethodHandle all = MethodHandles.empty(MethodType.methodType(void.class, Row.class, Record.class));
        try {
            var lookup = MethodHandles.privateLookupIn(type, LOOKUP);
            for (int i = 0; i < components.length; i++) {
                RecordComponent component = components[i];
                String name = component.getName();
                boolean isBody = schema.hasBody() && (name.equals(schema.bodyName()) || snake(name).equals(schema.bodyName()));
                MethodHandle set;
                if (isBody) {
                    getters[i] = bodyGetter(component);
                    set = LOOKUP.findVirtual(Row.class, "body", MethodType.methodType(Row.class, component.getType()));
                } else {
                    Column column = columnOf(component);
                    Form form = FORMS.get(component.getType());
                    getters[i] = MethodHandles.insertArguments(LOOKUP.findVirtual(Entry.class, form.getter,
                            MethodType.methodType(component.getType(), Column.class)), 1, column);
                    set = MethodHandles.insertArguments(LOOKUP.findVirtual(Row.class, "set",
                            MethodType.methodType(Row.class, Column.class, form.set)), 1, column);
                }
                MethodHandle accessor = lookup.unreflect(component.getAccessor());
                set = set.asType(MethodType.methodType(void.class, Row.class, component.getType()));
                set = MethodHandles.filterArguments(set, 1, accessor);
                all = MethodHandles.foldArguments(all, set.asType(all.type()));
            }
            setter = all;
            var types = Stream.of(components).map(RecordComponent::getType).toArray(Class<?>[]::new);
            MethodHandle constructor = lookup.findConstructor(type, MethodType.methodType(void.class, types));
            MethodHandle of = MethodHandles.filterArguments(constructor, 0, getters);
            maker = MethodHandles.permuteArguments(of, MethodType.methodType(type, Entry.class), new int[components.length])
                    .asType(MethodType.methodType(Record.class, Entry.class));
        } catch (ReflectiveOperationException e) {
            throw new RinglogException(Code.INVALID, type.getName() + ": its components cannot be reached: " + e
                    + "; make the record public, or open its module to ringlog", e);
        }
    }

    private static MethodHandle bodyGetter(RecordComponent component) throws ReflectiveOperationException {
        if (component.getType() != byte[].class && component.getType() != String.class) {
            throw RinglogException.invalid("component `" + component.getName() + "`: a body is a byte[] or a String");
        }
        String getter = component.getType() == String.class ? "bodyText" : "body";
        return LOOKUP.findVirtual(Entry.class, getter, MethodType.methodType(component.getType()));
    }

    private Column columnOf(RecordComponent component) {
        Column column = schema.find(component.getName());
        if (column == null) {
            column = schema.find(snake(component.getName()));
        }
        if (column == null) {
            column = schema.column(component.getName()); // says which there are
        }
        Typed typed = component.getAnnotation(Typed.class);
        Form form = FORMS.get(component.getType());
        if (form == null || !form.types.contains(column.type())
                || typed != null && !typed.value().equals(column.typeName())) {
            throw RinglogException.invalid("component `" + component.getName() + "`: the log's column is "
                    + column.typeName() + ", which " + (typed == null ? "" : "@Typed(\"" + typed.value() + "\") ")
                    + component.getType().getSimpleName() + " is not");
        }
        return column;
    }

    private static RecordComponent[] componentsOf(Class<? extends Record> type) {
        RecordComponent[] components = type.getRecordComponents();
        if (components == null || components.length == 0) {
            throw RinglogException.invalid(type.getName() + ": not a record with components");
        }
        return components;
    }

    /** {@code orderId} as {@code order_id}. */
    private static String snake(String name) {
        return name.replaceAll("(?<=[a-z0-9])(?=[A-Z])", "_").toLowerCase(Locale.ROOT);
    }

    /** Returns what {@link Schema#of(String)} reads. */
    static String columnsOf(Class<? extends Record> type) {
        List<String> columns = new ArrayList<>();
        for (RecordComponent component : componentsOf(type)) {
            Typed typed = component.getAnnotation(Typed.class);
            Form form = FORMS.get(component.getType());
            String kind = typed != null ? typed.value() : form == null ? null : form.otherwise;
            if (kind == null && component.getType() == byte[].class) {
                kind = "bytes";
            }
            if (kind == null) {
                throw RinglogException.invalid(type.getSimpleName() + ": component `" + component.getName()
                        + "` needs its type in the log: @Typed(\"text8\") or another");
            }
            columns.add(snake(component.getName()) + ":" + kind);
        }
        return String.join(",", columns);
    }

    /** Returns an entry as a record of its own, which stays. */
    @SuppressWarnings("unchecked")
    public T read(Entry entry) {
        check(entry.schema());
        try {
            return (T) (Record) maker.invokeExact(entry);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e); // constructors of records throw nothing else
        }
    }

    /** Sets a row to a record. */
    public void write(T record, Row row) {
        check(row.schema());
        try {
            setter.invokeExact(row, (Record) record);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    private void check(Schema other) {
        if (other != schema && !other.equals(schema)) {
            throw RinglogException.invalid("a view of another log's columns: " + other.difference(schema));
        }
    }
}
