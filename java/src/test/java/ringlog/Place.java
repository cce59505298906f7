package ringlog;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.fail;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;

/** Where a test is: a log name and a directory of its own, and the processes it started; all gone with it. */
final class Place implements AutoCloseable {
    static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final AtomicInteger COUNT = new AtomicInteger();
    /** The Rust programs. */
    private static final Path PROGRAMS =
            Path.of(System.getenv().getOrDefault("RINGLOG_BIN", "../target/release")).toAbsolutePath();

    final String shm = "/ringlog-java-" + Host.PID + "-" + COUNT.getAndIncrement();
    final Path directory;
    private final List<Process> started = new ArrayList<>();

    Place() {
        try {
            directory = Files.createTempDirectory("ringlog-java");
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    /** What a process came to. */
    record Ended(int code, String out, String err) {}

    Path file(String name) {
        return directory.resolve(name);
    }

    Path shmFile() {
        return Path.of("/dev/shm" + shm);
    }

    static void needsPrograms() {
        boolean areThere = Files.isExecutable(PROGRAMS.resolve("ringlog"));
        if (System.getenv("RINGLOG_BIN") != null && !areThere) {
            fail(PROGRAMS + " has no programs; build them with cargo build --release --bins");
        }
        Assumptions.assumeTrue(areThere, "skipped: the Rust programs are not built (cargo build --release --bins)");
    }

    /** Starts one of the Rust programs in the directory. */
    Process start(String program, Object... arguments) {
        return launch(PROGRAMS.resolve(program).toString(), arguments);
    }

    /** Starts a {@link Peer} in a process of its own. */
    Process peer(Object... arguments) {
        return peerOn(Path.of(System.getProperty("java.home"), "bin", "java"), List.of(), arguments);
    }

    /** Returns a Java from 22 on, which can wake; skips the test where there is none. */
    static Path java22() {
        try (var homes = Files.list(Path.of("/usr/lib/jvm"))) {
            for (Path home : homes.toList()) {
                Path release = home.resolve("release");
                var version = java.util.regex.Pattern.compile("JAVA_VERSION=\"(\\d+)")
                        .matcher(Files.exists(release) ? Files.readString(release) : "");
                Path java = home.resolve("bin/java");
                if (version.find() && Integer.parseInt(version.group(1)) >= 22 && Files.isExecutable(java)) {
                    return java;
                }
            }
        } catch (IOException e) {
            // As none.
        }
        return Assumptions.abort("skipped: no Java from 22 on in /usr/lib/jvm");
    }

    /** Starts a {@link Peer} on another Java. */
    Process peerOn(Path java, List<String> options, Object... arguments) {
        var all = new ArrayList<Object>(options);
        all.addAll(List.of("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", System.getProperty("java.class.path"),
                "ringlog.Peer"));
        all.addAll(List.of(arguments));
        return launch(java.toString(), all.toArray());
    }

    /** Starts a {@link Peer} in a pid namespace of its own, which takes root. */
    Process namespaced(Object... arguments) {
        var all = new ArrayList<Object>(List.of("--pid", "--fork", "--mount-proc", "--kill-child",
                Path.of(System.getProperty("java.home"), "bin", "java"), "-cp", System.getProperty("java.class.path"),
                "ringlog.Peer"));
        all.addAll(List.of(arguments));
        return launch("unshare", all.toArray());
    }

    private Process launch(String program, Object... arguments) {
        var command = new ArrayList<String>();
        command.add(program);
        Stream.of(arguments).map(String::valueOf).forEach(command::add);
        try {
            int number = started.size();
            Process process = new ProcessBuilder(command)
                    .directory(directory.toFile())
                    .redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()))
                    .redirectOutput(file("out." + number).toFile())
                    .redirectError(file("err." + number).toFile())
                    .start();
            started.add(process);
            return process;
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    /** Waits for the end of a process that was started here. */
    Ended end(Process process) {
        try {
            if (!process.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS)) {
                process.destroyForcibly();
                fail("still running after " + PATIENCE + ": " + said(process));
            }
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
        int number = started.indexOf(process);
        return new Ended(process.exitValue(), text(file("out." + number)), text(file("err." + number)));
    }

    String said(Process process) {
        int number = started.indexOf(process);
        return text(file("out." + number)) + text(file("err." + number));
    }

    String out(Process process) {
        return text(file("out." + started.indexOf(process)));
    }

    /** Runs one of the Rust programs, which has to succeed; returns what it printed. */
    String run(String program, Object... arguments) {
        Ended ended = end(start(program, arguments));
        assertEquals(0, ended.code, () -> program + " " + List.of(arguments) + ": " + ended);
        return ended.out;
    }

    static String text(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    /** Kills a process with SIGKILL, and waits for its end. */
    static void kill(Process process) {
        process.destroyForcibly();
        try {
            if (!process.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS)) {
                fail("not dead after SIGKILL");
            }
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    static void until(String what, BooleanSupplier is) {
        long end = System.nanoTime() + PATIENCE.toNanos();
        while (!is.getAsBoolean()) {
            if (System.nanoTime() > end) {
                fail("not in " + PATIENCE + ": " + what);
            }
            java.util.concurrent.locks.LockSupport.parkNanos(1_000_000);
        }
    }

    /** The message of an exception that has to come, with its code. */
    static String refused(Code code, Runnable what) {
        try {
            what.run();
        } catch (RinglogException e) {
            assertEquals(code, e.code(), e.getMessage());
            return e.getMessage();
        }
        return fail("it was not refused");
    }

    @Override
    public void close() {
        started.forEach(Place::kill);
        try {
            remove(Path.of("/dev/shm"), shm.substring(1));
            try (var files = Files.walk(directory)) {
                for (Path path : files.sorted(java.util.Comparator.reverseOrder()).toList()) {
                    Files.delete(path);
                }
            }
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    /** Removes a log, and what is of it: lanes, logs of a topic. */
    private static void remove(Path directory, String name) throws IOException {
        try (var files = Files.list(directory)) {
            for (Path path : files.toList()) {
                String found = path.getFileName().toString();
                if (found.equals(name) || found.startsWith(name + ".")) {
                    Files.deleteIfExists(path);
                }
            }
        }
    }
}
