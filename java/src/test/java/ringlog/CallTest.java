package ringlog;

import static org.junit.jupiter.api.Assertions.*;
import static ringlog.Place.kill;
import static ringlog.Place.refused;
import static ringlog.Place.until;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Calls: in this process, between processes, with the Rust programs, and across kills. */
class CallTest {
    private static final Duration TEN = Duration.ofSeconds(10);
    private final Place place = new Place();

    @AfterEach
    void removeAll() {
        place.close();
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static CallException fails(CallException.Kind kind, Runnable call) {
        CallException e = assertThrows(CallException.class, call::run);
        assertEquals(kind, e.kind(), e.getMessage());
        return e;
    }

    /** Runs a server in a thread, until the test is over. */
    private record Served(Service service, Thread thread) implements AutoCloseable {
        static Served of(Service service, Service.Handler handler) {
            return with(service, () -> service.run(handler));
        }

        static Served with(Service service, Runnable run) {
            var thread = new Thread(run);
            thread.start();
            return new Served(service, thread);
        }

        @Override
        public void close() {
            service.stop();
            try {
                thread.join(Place.PATIENCE.toMillis());
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
            assertFalse(thread.isAlive(), "the server does not stop");
            service.close();
        }
    }

    private static byte[] answer(Request request) throws Exception {
        return switch (request.method()) {
            case 0 -> request.body();
            case 1 -> throw new Failure("as asked");
            case 2 -> throw new java.io.IOException("a checked one");
            case 3 -> throw new IllegalStateException("broken");
            case 4 -> null;
            default -> throw Failure.noMethod();
        };
    }

    @Test
    void a_call_is_answered_and_a_failure_told() {
        try (Served served = Served.of(Service.serve(place.shm), CallTest::answer);
                Client client = Client.connect(place.shm, TEN)) {
            assertEquals("bytes", client.bodyKind());
            assertTrue(client.hasServer());
            assertArrayEquals(bytes("abc"), client.call(0, bytes("abc"), TEN));
            assertArrayEquals(new byte[0], client.call(0, new byte[0], Duration.ofDays(100_000)));
            assertArrayEquals(bytes("as asked"), fails(CallException.Kind.FAILED, () -> client.call(1, bytes(""), TEN)).body());
            assertTrue(fails(CallException.Kind.FAILED, () -> client.call(2, bytes(""), TEN)).getMessage().contains("checked"));
            assertTrue(fails(CallException.Kind.PANICKED, () -> client.call(3, bytes(""), TEN)).getMessage().contains("broken"));
            assertTrue(fails(CallException.Kind.PANICKED, () -> client.call(4, bytes(""), TEN)).getMessage().contains("null"));
            fails(CallException.Kind.NO_METHOD, () -> client.call(-1, bytes(""), TEN));
            assertEquals(0, client.pending());
        }
    }

    @Test
    void messages_of_every_length_go_there_and_back() {
        try (Served served = Served.of(Service.options().arena(4096).serve(place.shm), Request::body);
                Client client = Client.connect(place.shm, TEN)) {
            for (int length : new int[] {0, 1, 71, 72, 73, 88, 89, 2047, 2048, 2049, 4096, 10_000, 1_000_000}) {
                byte[] body = new byte[length];
                new Random(length).nextBytes(body);
                assertArrayEquals(body, client.call(0, body, TEN), "of " + length);
            }
        }
    }

    @Test
    void what_is_longer_than_64_mebibytes_is_refused_by_the_server() {
        try (Served served = Served.of(Service.serve(place.shm), request -> bytes("" + request.body().length));
                Client client = Client.connect(place.shm, TEN)) {
            fails(CallException.Kind.TOO_LARGE, () -> client.call(0, new byte[(64 << 20) + 1], Place.PATIENCE));
            assertEquals("" + (64 << 20), new String(client.call(0, new byte[64 << 20], Place.PATIENCE)));
        }
    }

    @Test
    void sixty_four_requests_are_under_way_and_more_wait() {
        try (Served served = Served.of(Service.serve(place.shm), Request::body);
                Client client = Client.connect(place.shm, TEN)) {
            var tickets = new ArrayList<Long>();
            for (int i = 0; i < 500; i++) {
                tickets.add(client.send(0, bytes("" + i), TEN));
            }
            for (int i = 499; i >= 0; i--) {
                assertEquals("" + i, new String(client.receive(tickets.get(i))));
            }
            assertTrue(refused(Code.INVALID, () -> client.receive(tickets.get(3))).contains("no request"));
        }
    }

    @Test
    void a_call_ends_with_its_time_and_a_late_answer_is_dropped() throws Exception {
        var go = new java.util.concurrent.Semaphore(0);
        try (Served served = Served.of(Service.serve(place.shm), request -> {
            if (request.method() == 1) {
                go.acquire();
            }
            return request.body();
        }); Client client = Client.connect(place.shm, TEN)) {
            fails(CallException.Kind.TIMED_OUT, () -> client.call(1, bytes("slow"), Duration.ofMillis(30)));
            go.release();
            assertArrayEquals(bytes("next"), client.call(0, bytes("next"), TEN));
        }
    }

    @Test
    void a_request_whose_time_is_over_is_not_run() {
        var ran = new AtomicInteger();
        try (Service service = Service.serve(place.shm); Client client = Client.connect(place.shm, TEN)) {
            fails(CallException.Kind.TIMED_OUT, () -> client.call(0, bytes("late"), Duration.ofMillis(5)));
            long ticket = client.send(0, bytes("in time"), TEN);
            for (int i = 0; i < 3; i++) {
                service.poll(request -> {
                    ran.incrementAndGet();
                    return request.body();
                });
            }
            assertArrayEquals(bytes("in time"), client.receive(ticket));
            assertEquals(1, ran.get());
        }
    }

    @Test
    void answers_come_later_and_from_other_threads() {
        var first = new CompletableFuture<byte[]>();
        Service service = Service.serve(place.shm);
        try (Served served = Served.with(service, () -> service.runAsync(request -> switch (request.method()) {
            case 0 -> first;
            case 1 -> CompletableFuture.supplyAsync(request::body);
            default -> CompletableFuture.failedFuture(new Failure("later"));
        })); Client client = Client.connect(place.shm, TEN)) {
            long kept = client.send(0, bytes(""), TEN);
            assertArrayEquals(bytes("b"), client.call(1, bytes("b"), TEN));
            fails(CallException.Kind.FAILED, () -> client.call(2, bytes(""), TEN));
            first.complete(bytes("at last"));
            assertArrayEquals(bytes("at last"), client.receive(kept));
        }
    }

    @Test
    void a_client_that_takes_no_answers_holds_up_no_other() {
        try (Served served = Served.of(Service.options().arena(4096).serve(place.shm), request -> new byte[1500]);
                Client idle = Client.connect(place.shm, TEN);
                Client busy = Client.connect(place.shm, TEN)) {
            for (int i = 0; i < 40; i++) {
                idle.send(0, bytes("x"), TEN);
            }
            for (int i = 0; i < 300; i++) {
                assertEquals(1500, busy.call(0, bytes("y"), TEN).length);
            }
            assertEquals(40, idle.pending());
            fails(CallException.Kind.TIMED_OUT, () -> idle.call(0, bytes("z"), Duration.ZERO));
        }
    }

    @Test
    void two_services_that_call_each_other_do_not_wait_for_ever() {
        try (Place other = new Place();
                Service here = Service.serve(place.shm);
                Service there = Service.serve(other.shm);
                Client toHere = Client.connect(place.shm, TEN);
                Client toThere = Client.connect(other.shm, TEN)) {
            // here asks there, which asks here again: one thread does all of it
            Service.Handler leaf = request -> bytes("leaf");
            Service.Handler inner = request -> toHere.callWhile(1, request.body(), TEN, () -> here.poll(leaf));
            byte[] answer = toThere.callWhile(0, bytes("x"), TEN, () -> there.poll(inner));
            assertEquals("leaf", new String(answer));
        }
    }

    @Test
    void each_client_has_a_lane_and_the_server_makes_one_more() {
        try (Served served = Served.of(Service.options().lanes(3).serve(place.shm), Request::body)) {
            var clients = new ArrayList<Client>();
            for (int i = 0; i < 3; i++) {
                clients.add(Client.connect(place.shm, TEN));
                assertEquals(i, clients.get(i).lane());
            }
            fails(CallException.Kind.TIMED_OUT, () -> Client.connect(place.shm, Duration.ofMillis(50)));
            clients.get(1).close();
            try (Client next = Client.connect(place.shm, TEN)) {
                assertEquals(1, next.lane());
                assertArrayEquals(bytes("n"), next.call(0, bytes("n"), TEN));
            }
            for (Client client : clients) {
                client.close();
            }
        }
    }

    @Test
    void what_is_not_served_or_no_service_is_refused_by_name() {
        fails(CallException.Kind.GONE, () -> Client.connect(place.shm, Duration.ofMillis(10)));
        try (Place other = new Place(); Log log = Log.create(other.shm, Peer.numbers())) {
            assertTrue(refused(Code.INVALID, () -> Client.connect(other.shm, TEN)).contains("no service"));
            assertTrue(refused(Code.INVALID, () -> Service.serve(other.shm)).contains("another name"));
        }
        try (Service service = Service.options().lanes(2).serve(place.shm)) {
            refused(Code.CLAIMED, () -> Service.serve(place.shm));
            refused(Code.INVALID, () -> Service.options().lanes(4).serve(place.shm));
        }
        assertTrue(refused(Code.INVALID, () -> Service.options().lanes(4).serve(place.shm)).contains("2 lanes"));
    }

    @Test
    void what_a_killed_server_was_running_is_told_to_its_caller() {
        Process server = place.peer("serve", place.shm);
        try (Client client = Client.options().outlast().connect(place.shm, Place.PATIENCE)) {
            assertArrayEquals(bytes("a"), client.call(0, bytes("a"), TEN));
            long over = client.send(2, bytes("halt"), Place.PATIENCE);
            long behind = client.send(0, bytes("not begun"), Place.PATIENCE);
            assertEquals(9, place.end(server).code());
            place.peer("serve", place.shm);
            fails(CallException.Kind.INTERRUPTED, () -> client.receive(over));
            assertArrayEquals(bytes("not begun"), client.receive(behind)); // the next one runs it
        }
    }

    @Test
    void a_server_that_repeats_runs_it_again() {
        Process server = place.peer("serve", place.shm, "repeat");
        try (Client client = Client.options().outlast().connect(place.shm, Place.PATIENCE)) {
            long over = client.send(2, bytes("halt"), Place.PATIENCE);
            assertEquals(9, place.end(server).code());
            Process second = place.peer("serve", place.shm, "repeat");
            assertEquals(9, place.end(second).code()); // over the same request
            place.peer("serve", place.shm); // this one does not repeat
            fails(CallException.Kind.INTERRUPTED, () -> client.receive(over));
        }
    }

    @Test
    void a_caller_whose_server_is_gone_is_told_at_once() {
        Process server = place.peer("serve", place.shm);
        try (Client client = Client.connect(place.shm, Place.PATIENCE)) {
            assertArrayEquals(bytes("a"), client.call(0, bytes("a"), TEN));
            kill(server);
            fails(CallException.Kind.GONE, () -> client.call(0, bytes("b"), Place.PATIENCE));
            assertFalse(client.hasServer());
        }
    }

    @Test
    void requests_of_a_killed_client_are_not_run_and_its_lane_is_the_next_ones() {
        try (Served served = Served.of(Service.options().lanes(1).serve(place.shm), Request::body)) {
            for (int round = 0; round < 3; round++) {
                Process client = place.peer("ask", place.shm);
                until("calls", () -> place.out(client).contains("asked 100"));
                kill(client);
            }
            try (Client client = Client.connect(place.shm, Place.PATIENCE)) {
                assertArrayEquals(bytes("mine"), client.call(0, bytes("mine"), TEN));
            }
        }
    }

    @Test
    void a_note_that_no_server_left_is_not_believed() {
        Service.serve(place.shm).close();
        LogTest.scribble(Path.of("/dev/shm" + place.shm + ".0.req"), Layout.readerLine(0) + Layout.READER_CALLS_TAKEN, 1L << 40);
        try (Served served = Served.of(Service.serve(place.shm), Request::body); Client client = Client.connect(place.shm, TEN)) {
            assertArrayEquals(bytes("new"), client.call(0, bytes("new"), TEN));
        }
    }

    @Test
    void what_a_client_left_behind_is_not_run_for_the_next_one() {
        var ran = new ArrayList<String>();
        Service.Handler handler = request -> {
            ran.add(new String(request.body()));
            return request.body();
        };
        try (Service service = Service.options().lanes(1).serve(place.shm)) {
            try (Client gone = Client.connect(place.shm, TEN)) {
                gone.send(0, bytes("answered"), TEN);
                service.poll(handler); // its answer is not taken
                gone.send(0, bytes("left"), TEN);
                gone.send(0, bytes("behind"), TEN);
            }
            try (Client next = Client.connect(place.shm, TEN)) {
                assertEquals(0, next.lane());
                assertEquals("mine", new String(next.callWhile(0, bytes("mine"), TEN, () -> service.poll(handler))));
            }
        }
        assertEquals(java.util.List.of("answered", "mine"), ran);
    }

    @Test
    void every_call_across_kills_of_its_server_ends() {
        try (Client client = Client.options().outlast().connect(place.shm, startServing())) {
            for (int round = 0; round < 4; round++) {
                Process running = servers.get(servers.size() - 1);
                var answered = new AtomicInteger();
                var killer = new Thread(() -> {
                    until("answers", () -> answered.get() >= 50);
                    kill(running);
                });
                killer.start();
                while (running.isAlive()) {
                    byte[] body = bytes("call " + answered);
                    try {
                        assertArrayEquals(body, client.call(0, body, Duration.ofMillis(300)));
                        answered.incrementAndGet();
                    } catch (CallException e) { // while the server starts, and when it died
                        assertTrue(e.kind() == CallException.Kind.TIMED_OUT || e.kind() == CallException.Kind.INTERRUPTED,
                                e.getMessage());
                    }
                }
                startServing();
            }
            assertArrayEquals(bytes("end"), client.call(0, bytes("end"), Place.PATIENCE));
        }
    }

    private final java.util.List<Process> servers = new ArrayList<>();

    private Duration startServing() {
        servers.add(place.peer("serve", place.shm));
        return Place.PATIENCE;
    }

    @Test
    void a_server_of_java_answers_the_program() {
        Place.needsPrograms();
        try (Served served = Served.of(Service.options().arena(1 << 16).serve(place.shm), CallTest::answer)) {
            assertEquals("a few words", place.run("ringlog", "call", place.shm, "--body", "a few words", "--timeout", "10s").strip());
            Place.Ended failed = place.end(place.start("ringlog", "call", place.shm, "--method", 1, "--body", "x", "--timeout", "10s"));
            assertEquals(1, failed.code(), failed.err());
            assertTrue(failed.err().contains("as asked"), failed.err());
            Place.Ended unknown = place.end(place.start("ringlog", "call", place.shm, "--method", 9, "--timeout", "10s"));
            assertTrue(unknown.code() == 1 && unknown.err().contains("method"), unknown.err());
            byte[] long1 = new byte[300_000];
            Arrays.fill(long1, (byte) 'x');
            try {
                java.nio.file.Files.write(place.file("long"), long1);
            } catch (java.io.IOException e) {
                throw new AssertionError(e);
            }
            assertEquals(300_000, place.run("ringlog", "call", place.shm, "--file", "long", "--timeout", "20s").strip().length());
            String stat = place.run("ringlog", "stat", place.shm);
            assertTrue(stat.contains("process " + Host.PID), stat);
            place.run("ringlog", "verify", place.shm + ".0.req");
            place.run("ringlog", "verify", place.shm + ".0.rep");
        }
        Place.Ended gone = place.end(place.start("ringlog", "call", place.shm, "--timeout", "100ms"));
        assertEquals(5, gone.code(), gone.err());
    }

    @Test
    void a_client_of_java_calls_the_program() {
        Place.needsPrograms();
        Process server = place.start("ringlog", "serve", place.shm, "--exec", "tr a-z A-Z");
        try (Client client = Client.options().outlast().connect(place.shm, Place.PATIENCE)) {
            assertEquals("WORDS", new String(client.call(0, bytes("words"), TEN)));
            kill(server);
            Process echo = place.start("ringlog", "serve", place.shm, "--echo");
            byte[] large = new byte[3_000_000];
            new Random(7).nextBytes(large);
            assertArrayEquals(large, client.call(0, large, Place.PATIENCE));
            for (int length : new int[] {0, 72, 73, 88, 89, 524_288, 524_289}) {
                assertEquals(length, client.call(0, new byte[length], TEN).length);
            }
            kill(echo);
        }
        try (Client client = Client.connect(place.shm, Duration.ofMillis(1))) {
            fail("nothing serves it");
        } catch (CallException e) {
            assertEquals(CallException.Kind.GONE, e.kind());
        }
    }

    @Test
    void what_a_server_of_one_language_died_over_the_other_tells() {
        Place.needsPrograms();
        Process java = place.peer("serve", place.shm);
        try (Client client = Client.options().outlast().connect(place.shm, Place.PATIENCE)) {
            long over = client.send(2, bytes("halt"), Place.PATIENCE);
            assertEquals(9, place.end(java).code());
            Process rust = place.start("ringlog", "serve", place.shm, "--exec", "sleep 100");
            fails(CallException.Kind.INTERRUPTED, () -> client.receive(over));
            long begun = client.send(0, bytes("sleep"), Place.PATIENCE);
            Words words = client.requestsWords();
            until("it is begun", () -> words.acquire(Layout.readerLine(0) + Layout.READER_CALLS_TAKEN) > begun);
            kill(rust);
            place.peer("serve", place.shm);
            fails(CallException.Kind.INTERRUPTED, () -> client.receive(begun));
        }
    }
}
