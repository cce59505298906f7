package ringlog;

import static org.junit.jupiter.api.Assertions.*;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.io.StringWriter;
import java.net.URI;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** docs/java.md: each program in it compiles, and runs if it is about a log of its own. */
class ChapterTest {
    private final Place place = new Place();

    @AfterEach
    void removeAll() {
        place.close();
    }

    private record Program(String name, String text) {}

    private static List<Program> programs() {
        var programs = new ArrayList<Program>();
        var blocks = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL).matcher(Place.text(Path.of("../docs/java.md")));
        while (blocks.find()) {
            var name = Pattern.compile("^class (\\w+)", Pattern.MULTILINE).matcher(blocks.group(1));
            assertTrue(name.find(), "a block is a program");
            programs.add(new Program(name.group(1), blocks.group(1)));
        }
        return programs;
    }

    @TestFactory
    List<DynamicTest> each_program_of_the_chapter_compiles_and_runs() {
        List<Program> programs = programs();
        assertTrue(programs.size() >= 6, "too few: " + programs.size());
        return programs.stream().map(one -> DynamicTest.dynamicTest(one.name, () -> check(one))).toList();
    }

    private void check(Program program) throws Exception {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        assertNotNull(compiler, "the tests need a JDK, and this is a JRE");
        var said = new StringWriter();
        var source = new SimpleJavaFileObject(URI.create("string:///" + program.name + ".java"), JavaFileObject.Kind.SOURCE) {
            @Override
            public CharSequence getCharContent(boolean ignored) {
                return program.text;
            }
        };
        Path classes = java.nio.file.Files.createTempDirectory(place.directory, "classes");
        boolean compiled = compiler.getTask(said, null, null, List.of("-d", classes.toString(), "-Xlint:all", "-cp",
                System.getProperty("java.class.path")), null, List.of(source)).call();
        assertTrue(compiled && said.toString().isEmpty(), program.name + ": " + said);
        if (!program.text.contains("ringlog-java-doc-")) {
            return; // it follows a log without end
        }
        PrintStream out = System.out;
        var printed = new ByteArrayOutputStream();
        System.setOut(new PrintStream(printed, true, java.nio.charset.StandardCharsets.UTF_8));
        try (var loader = new URLClassLoader(new URL[] {classes.toUri().toURL()}, getClass().getClassLoader())) {
            var main = loader.loadClass(program.name).getDeclaredMethod("main", String[].class);
            main.setAccessible(true);
            main.invoke(null, (Object) new String[0]);
        } finally {
            System.setOut(out);
            try (var left = java.nio.file.Files.list(Path.of("/dev/shm"))) {
                for (Path file : left.filter(file -> file.toString().contains("ringlog-java-doc-adder-" + Host.PID)).toList()) {
                    java.nio.file.Files.delete(file);
                }
            }
        }
        String due = DUE.get(program.name);
        assertTrue(due != null && printed.toString(java.nio.charset.StandardCharsets.UTF_8).contains(due), printed::toString);
    }

    /** What each prints, or some of it. */
    private static final Map<String, String> DUE = Map.of(
            "Trades", "symbol=AAPL, price=189.4500, size=100",
            "Engine", "",
            "Orders", "no room: reader 0, which the writer waits for, is 4 entries behind",
            "Events", "{\"symbol\":\"AAPL\"}",
            "Adder", "5");
}
