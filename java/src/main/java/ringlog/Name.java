package ringlog;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;

/** What a log is called: a name in shared memory, or the path of a file. */
record Name(String text, Path path, boolean isShared) {
    private static final Path SHARED = Path.of("/dev/shm");

    static Name of(String name) {
        String bare = name.startsWith("/") ? name.substring(1) : name;
        boolean isGood = !bare.isEmpty() && bare.getBytes(java.nio.charset.StandardCharsets.UTF_8).length <= 255
                && bare.indexOf('/') < 0 && !bare.equals(".") && !bare.equals("..");
        try {
            if (isGood) {
                return new Name("/" + bare, SHARED.resolve(bare), true);
            }
        } catch (InvalidPathException e) {
            // A zero byte: refused as the others.
        }
        throw RinglogException.invalid("`" + name + "` cannot name shared memory: one slash, then up to 255 bytes"
                + " without another, as in /quotes; for a file, give its Path");
    }

    static Name of(Path file) {
        if (file.getFileName() == null || file.getFileName().toString().isEmpty()) {
            throw RinglogException.invalid(file + ": not the path of a file");
        }
        return new Name(file.toString(), file, false);
    }

    /** Returns this name with an ending: what a log that belongs to this one is called. */
    Name with(String ending) {
        return isShared ? of(text + ending) : of(Path.of(path + ending));
    }

    @Override
    public String toString() {
        return text;
    }
}
