package ringlog;

import static ringlog.Layout.*;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A log: fixed-size entries in a ring in shared memory, or in a file, with one writer and up to eight durable
 * readers.
 *
 * <p>Claims are locks of this process, and the kernel drops them when the process closes any descriptor of the
 * log's file. This library opens each file once; do not open a log's file by other means in the same process.
 */
public final class Log implements AutoCloseable {
    private final Name name;
    private final Segment segment;
    private boolean isClosed;

    Log(Name name, Segment segment) {
        this.name = name;
        this.segment = segment;
    }

    /** Returns options with their defaults, to change and then open or make a log with. */
    public static Options options() {
        return new Options();
    }

    /**
     * Opens the log of a name in shared memory: {@code /quotes}.
     *
     * @throws RinglogException NOT_FOUND if there is none, UNUSABLE if it is none
     */
    public static Log open(String name) {
        return options().open(name);
    }

    /** Opens the log in a file, as {@link #open(String)}. */
    public static Log open(Path file) {
        return options().open(file);
    }

    /** Makes a log of 1024 slots in shared memory, and opens it, as {@link Options#create(String, Schema)}. */
    public static Log create(String name, Schema schema) {
        return options().create(name, schema);
    }

    /** Opens a log in shared memory, or makes it, as {@link Options#openOrCreate(String, Schema)}. */
    public static Log openOrCreate(String name, Schema schema) {
        return options().openOrCreate(name, schema);
    }

    /** Removes the name of a log in shared memory; processes that are attached go on with what they have. */
    public static void unlink(String name) {
        unlink(Name.of(name));
    }

    /** Removes the file of a log, as {@link #unlink(String)}. */
    public static void unlink(Path file) {
        unlink(Name.of(file));
    }

    private static void unlink(Name name) {
        options().open(name).close(); // what is no log is not removed
        try {
            Files.delete(name.path());
        } catch (NoSuchFileException e) {
            throw new RinglogException(Code.NOT_FOUND, name + ": no such log", e);
        } catch (IOException e) {
            throw RinglogException.io(name + ": cannot be removed", e);
        }
    }

    /** Returns the wall clock in ns since the Unix epoch, for a column of type timestamp. */
    public static long now() {
        return Host.wallNs();
    }

    /**
     * Becomes reader 0 to 7, and goes on behind what that reader has committed; a new one begins at the oldest
     * entry.
     *
     * @throws RinglogException CLAIMED while another is this reader
     */
    public Reader reader(int id) {
        return new Reader(segment, id);
    }

    /** Looks on without a claim. */
    public Observer observe(Start start) {
        return new Observer(segment, start);
    }

    /**
     * Becomes the writer, and goes on behind the last published entry.
     *
     * @throws RinglogException CLAIMED while another is the writer; INVALID for a lossless log
     */
    public Writer writer() {
        if (isLossless()) {
            throw RinglogException.invalid(name + ": its writer waits for readers " + gates(segment.header().gates())
                    + "; use losslessWriter()");
        }
        return new Writer(segment);
    }

    /**
     * Becomes the writer of a lossless log, and goes on behind the last published entry.
     *
     * @throws RinglogException CLAIMED while another is the writer; INVALID for a log that overwrites
     */
    public LosslessWriter losslessWriter() {
        if (!isLossless()) {
            throw RinglogException.invalid(name + ": its writer waits for no reader; use writer()");
        }
        return new LosslessWriter(segment);
    }

    /** Returns a view of entries as records of a class, whose components are columns of this log. */
    public <T extends Record> RecordView<T> view(Class<T> type) {
        return new RecordView<>(schema(), type);
    }

    /** Returns whether the writer waits for readers. */
    public boolean isLossless() {
        return segment.header().gates() != 0;
    }

    static List<Integer> gates(int bits) {
        var gates = new ArrayList<Integer>();
        for (int id = 0; id < READERS; id++) {
            if ((bits >> id & 1) == 1) {
                gates.add(id);
            }
        }
        return gates;
    }

    /** Returns the readers that the writer waits for. */
    public List<Integer> gates() {
        return gates(segment.header().gates());
    }

    /** Returns the name. */
    public String name() {
        return name.toString();
    }

    /** Returns the columns. */
    public Schema schema() {
        return segment.header().schema();
    }

    /** Returns the number of slots. */
    public long capacity() {
        return segment.header().capacity();
    }

    /** Returns the random id, 32 hexadecimal digits, the same for as long as the log exists. */
    public String id() {
        return String.format("%016x%016x", segment.header().idHigh(), segment.header().idLow());
    }

    /** Returns the position behind the newest entry. */
    public long end() {
        return new Ring(segment.reading(), segment.header()).end();
    }

    /** Returns the oldest position that can still be there. */
    public long oldest() {
        Ring ring = new Ring(segment.reading(), segment.header());
        return ring.oldestWhole(ring.end());
    }

    /** Returns how many writers the log has had: another number is another writer. */
    public long epoch() {
        return segment.reading().acquire(WRITER_EPOCH);
    }

    /** Returns whether a living process is the writer. */
    public boolean hasWriter() {
        return segment.isWriterClaimed(new Locks());
    }

    /** Returns whether a living process is this reader. */
    public boolean hasReader(int id) {
        return segment.isReaderClaimed(new Locks(), java.util.Objects.checkIndex(id, READERS));
    }

    Segment segment() {
        return segment;
    }

    /**
     * Closes it here. Its writers, readers and observers go on. The memory is unmapped when the garbage
     * collector finds that nothing uses it.
     */
    @Override
    public void close() {
        if (!isClosed) {
            isClosed = true;
            segment.release();
        }
    }
}
