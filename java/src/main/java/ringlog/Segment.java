package ringlog;

import static ringlog.Layout.*;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A log's file in this process: one channel for all its users, its mappings, and the claims on it.
 *
 * <p>Java's locks are the process's, and the kernel drops all that a process has on a file when it closes any
 * descriptor of that file. So the file is opened once, and closed with its last user here.
 */
final class Segment {
    private static final Map<FileKey, Segment> OPEN = new HashMap<>();
    /** Devices whose locks {@code /proc/locks} shows under the name by which files are known here. */
    private static final Set<Long> SHOWN = ConcurrentHashMap.newKeySet();

    private final Path path;
    private final String name;
    private final FileKey key;
    private final FileChannel channel;
    private final boolean canWrite;
    private final Words reading;
    private final Header header;
    private Words writing;
    private int users = 1;

    private Segment(Path path, String name, FileKey key, FileChannel channel, boolean canWrite) throws IOException {
        this.path = path;
        this.name = name;
        this.key = key;
        this.channel = channel;
        this.canWrite = canWrite;
        header = Header.read(name, channel);
        reading = Words.map(channel, FileChannel.MapMode.READ_ONLY, channel.size());
    }

    /** Opens a log, and checks it as docs/format.md says; or takes what this process has open already. */
    static Segment open(String name, Path path, long owner) {
        synchronized (OPEN) {
            try {
                var found = Files.readAttributes(path, "unix:isRegularFile,uid", LinkOption.NOFOLLOW_LINKS);
                if (!(Boolean) found.get("isRegularFile")) {
                    throw RinglogException.unusable(name, "it is no regular file");
                }
                long uid = Integer.toUnsignedLong((Integer) found.get("uid"));
                if (uid != 0 && uid != owner && uid != Host.uid()) {
                    throw RinglogException.unusable(name, "it belongs to user " + uid
                            + ", which could change it at will; if you trust that user, open it with owner(" + uid + ")");
                }
                FileKey key = FileKey.of(path);
                Segment segment = OPEN.get(key);
                if (segment != null) {
                    segment.users++;
                    return segment;
                }
                return openAnew(name, path, key);
            } catch (NoSuchFileException e) {
                throw new RinglogException(Code.NOT_FOUND, name + ": no such log; a writer makes it", e);
            } catch (IOException e) {
                throw RinglogException.io(name + ": cannot be opened", e);
            }
        }
    }

    private static Segment openAnew(String name, Path path, FileKey key) throws IOException {
        FileChannel channel;
        boolean canWrite = true;
        try {
            channel = FileChannel.open(path, Set.of(StandardOpenOption.READ, StandardOpenOption.WRITE,
                    LinkOption.NOFOLLOW_LINKS));
        } catch (AccessDeniedException e) {
            canWrite = false;
            channel = FileChannel.open(path, Set.of(StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS));
        }
        FileKey opened = FileKey.of(path);
        if (!opened.equals(key)) {
            if (!OPEN.containsKey(opened)) {
                channel.close(); // else it would drop the claims that this process has on that file
            }
            throw new RinglogException(Code.OTHER, name + ": made again while it was opened; open it again");
        }
        try {
            Segment segment = new Segment(path, name, key, channel, canWrite);
            OPEN.put(key, segment);
            return segment;
        } catch (IOException | RuntimeException e) {
            channel.close();
            throw e;
        }
    }

    Segment retain() {
        synchronized (OPEN) {
            users++;
            return this;
        }
    }

    void release() {
        synchronized (OPEN) {
            if (--users == 0) {
                OPEN.remove(key);
                try {
                    channel.close();
                } catch (IOException e) {
                    throw RinglogException.io(name + ": cannot be closed", e);
                }
            }
        }
    }

    String name() {
        return name;
    }

    Header header() {
        return header;
    }

    /** Returns the mapping that cannot be stored to. */
    Words reading() {
        return reading;
    }

    /** Returns the mapping that the holder of a claim stores to. */
    synchronized Words writing() {
        if (writing == null) {
            if (!canWrite) {
                throw new RinglogException(Code.OTHER, name + ": cannot be opened for writing: a writer and each"
                        + " reader store where they are; ask the log's owner for permission (chmod)");
            }
            try {
                writing = Words.map(channel, FileChannel.MapMode.READ_WRITE, channel.size());
            } catch (IOException e) {
                throw RinglogException.io(name + ": cannot be mapped", e);
            }
        }
        return writing;
    }

    /** Returns whether the log's name still stands for this file. */
    boolean isCurrent() {
        try {
            return FileKey.of(path).equals(key);
        } catch (IOException e) {
            return false;
        }
    }

    /** Takes the claim on the pointer at an offset. */
    FileLock claim(long at, String role, long pidAt) {
        writing();
        if (!isCurrent()) {
            throw new RinglogException(Code.NOT_FOUND,
                    name + ": deleted, or made again, since it was opened; open it anew");
        }
        try {
            FileLock lock = channel.tryLock(at, 8, false);
            if (lock != null) {
                if (new Locks().hold(key, at)) {
                    SHOWN.add(key.device());
                }
                return lock;
            }
        } catch (OverlappingFileLockException e) {
            throw claimed(role, Host.PID);
        } catch (IOException e) {
            throw RinglogException.io(name + ": cannot be claimed", e);
        }
        Locks locks = new Locks();
        if (!locks.hold(key, at) && locks.shutOut(key, at)) {
            throw new RinglogException(Code.CLAIMED, name + ": nothing can be " + role + ": a process, neither writer"
                    + " nor reader, has a read lock on the log's file; end it, and take its permission to read (chmod o-r)");
        }
        throw claimed(role, reading.relaxed(pidAt));
    }

    private RinglogException claimed(String role, long pid) {
        String as = pid == 0 ? "process of unknown id, for it has only begun" : "process " + Long.toUnsignedString(pid);
        return new RinglogException(Code.CLAIMED, name + ": " + role + " is already running as " + as
                + "; stop it first, or use another one");
    }

    void unclaim(FileLock lock) {
        try {
            lock.release();
        } catch (IOException e) {
            throw RinglogException.io(name + ": the claim cannot be given back", e);
        }
    }

    boolean isWriterClaimed(Locks locks) {
        return isClaimed(locks, WRITE_PTR, WRITER_PID_NS);
    }

    boolean isReaderClaimed(Locks locks, int id) {
        return isClaimed(locks, readPointer(id), readerLine(id) + READER_PID_NS);
    }

    /** Returns whether a living process holds a claim. */
    private boolean isClaimed(Locks locks, long at, long pidNsAt) {
        if (locks.hold(key, at)) {
            return true;
        }
        // The table leaves out a Java process of another pid namespace, and some file systems have another
        // name there. Then only a lock tells; a read lock, taken for a moment.
        long pidNs = reading.relaxed(pidNsAt);
        if (SHOWN.contains(key.device()) && (pidNs == 0 || pidNs == Host.PID_NS)) {
            return false;
        }
        try (FileLock lock = channel.tryLock(at, 8, true)) {
            return lock == null;
        } catch (OverlappingFileLockException e) {
            return true;
        } catch (IOException e) {
            throw RinglogException.io(name + ": its claims cannot be looked at", e);
        }
    }
}
