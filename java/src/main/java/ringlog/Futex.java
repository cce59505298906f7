package ringlog;

import java.lang.invoke.MethodHandle;
import java.lang.reflect.Array;
import java.lang.reflect.Method;
import java.nio.Buffer;
import java.util.Optional;

/**
 * The kernel's wake of threads that sleep on a word. Java has no call for it before 22; from then on this library
 * takes it where the process was started with {@code --enable-native-access}. Without it this library wakes no
 * sleeper, and each looks by itself after its own time.
 */
final class Futex {
    private static final long WAKE = 1;
    private static final boolean IS_ARM = System.getProperty("os.arch").equals("aarch64");
    private static final long NUMBER = IS_ARM ? 98 : 202;
    /** {@code long syscall(long number, ...)}, with six arguments; null where Java has none. */
    private static final MethodHandle SYSCALL = find();
    private static final Method OF_BUFFER = ofBuffer();
    private static final Method ADDRESS = address();

    private Futex() {}

    /** Returns whether a sleeper can be woken from here. */
    static boolean isThere() {
        return SYSCALL != null && OF_BUFFER != null && ADDRESS != null;
    }

    /** Wakes all threads that sleep on the four bytes at an index of a buffer that is mapped. */
    static void wake(Buffer buffer, int index) {
        try {
            long begin = (long) ADDRESS.invoke(OF_BUFFER.invoke(null, buffer));
            long woken = (long) SYSCALL.invokeExact(NUMBER, begin + index, WAKE, (long) Integer.MAX_VALUE, 0L, 0L, 0L);
        } catch (Throwable e) {
            // A wake that fails is one that is lost: the sleeper looks by itself.
        }
    }

    /** By reflection, for this is compiled for Java 17. */
    private static MethodHandle find() {
        try {
            Object isAllowed = Module.class.getMethod("isNativeAccessEnabled").invoke(Futex.class.getModule());
            if (!System.getProperty("os.name").equals("Linux") || !(Boolean) isAllowed) {
                return null;
            }
            Class<?> linkers = Class.forName("java.lang.foreign.Linker");
            Class<?> options = Class.forName("java.lang.foreign.Linker$Option");
            Class<?> layouts = Class.forName("java.lang.foreign.MemoryLayout");
            Class<?> descriptors = Class.forName("java.lang.foreign.FunctionDescriptor");
            Class<?> segments = Class.forName("java.lang.foreign.MemorySegment");
            Object linker = linkers.getMethod("nativeLinker").invoke(null);
            Object lookup = linkers.getMethod("defaultLookup").invoke(linker);
            Object symbol = ((Optional<?>) Class.forName("java.lang.foreign.SymbolLookup").getMethod("find", String.class)
                    .invoke(lookup, "syscall")).orElseThrow();
            Object word = Class.forName("java.lang.foreign.ValueLayout").getField("JAVA_LONG").get(null);
            Object arguments = Array.newInstance(layouts, 7);
            for (int i = 0; i < 7; i++) {
                Array.set(arguments, i, word);
            }
            Object descriptor = descriptors.getMethod("of", layouts, arguments.getClass()).invoke(null, word, arguments);
            Object variadic = Array.newInstance(options, 1);
            Array.set(variadic, 0, options.getMethod("firstVariadicArg", int.class).invoke(null, 1));
            return (MethodHandle) linkers.getMethod("downcallHandle", segments, descriptors, variadic.getClass())
                    .invoke(linker, symbol, descriptor, variadic);
        } catch (ReflectiveOperationException | RuntimeException e) {
            return null; // before Java 22
        }
    }

    private static Method ofBuffer() {
        try {
            return Class.forName("java.lang.foreign.MemorySegment").getMethod("ofBuffer", Buffer.class);
        } catch (ReflectiveOperationException e) {
            return null;
        }
    }

    private static Method address() {
        try {
            Method address = Class.forName("java.lang.foreign.MemorySegment").getMethod("address");
            return address.getReturnType() == long.class ? address : null;
        } catch (ReflectiveOperationException e) {
            return null;
        }
    }
}
