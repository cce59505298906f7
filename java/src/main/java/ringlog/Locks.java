package ringlog;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The kernel's table of file locks, {@code /proc/locks}, at one moment. Java can take a lock but not ask for
 * one, and to take it for a moment would be in the way of a process that means it.
 */
final class Locks {
    /** Write locks and read locks on one file. */
    private record Lock(boolean writes, int major, int minor, long inode, long begin, long end) {
        boolean covers(FileKey file, long at) {
            return inode == file.inode() && major == file.major() && minor == file.minor() && begin <= at && at <= end;
        }
    }

    private final List<Lock> first = read();
    /** The kernel gives the table in pieces, and can skip a lock while others go: what is free is so twice. */
    private List<Lock> second;

    /** Returns whether a process holds the claim on the word at an offset, as far as this table says. */
    boolean hold(FileKey file, long at) {
        return seen(file, at, true);
    }

    /** Returns whether a process keeps others from the claim by a read lock. */
    boolean shutOut(FileKey file, long at) {
        return seen(file, at, false);
    }

    private boolean seen(FileKey file, long at, boolean writes) {
        for (Lock lock : first) {
            if (lock.writes == writes && lock.covers(file, at)) {
                return true;
            }
        }
        if (second == null) {
            second = read();
        }
        for (Lock lock : second) {
            if (lock.writes == writes && lock.covers(file, at)) {
                return true;
            }
        }
        return false;
    }

    private static List<Lock> read() {
        var locks = new ArrayList<Lock>();
        String table;
        try {
            table = Files.readString(Path.of("/proc/locks"), StandardCharsets.US_ASCII);
        } catch (IOException e) {
            return locks; // what cannot be seen is asked otherwise
        }
        for (String line : table.split("\n")) {
            Lock lock = parse(line);
            if (lock != null) {
                locks.add(lock);
            }
        }
        return locks;
    }

    /** A line: {@code 1: OFDLCK ADVISORY WRITE -1 00:1a:5 0 7}; behind {@code ->} stands one that waits. */
    private static Lock parse(String line) {
        String[] words = line.trim().split("\\s+");
        if (words.length < 8 || words[1].equals("FLOCK") || words[1].equals("->")) {
            return null;
        }
        String[] file = words[5].split(":");
        try {
            long end = words[7].equals("EOF") ? Long.MAX_VALUE : Long.parseLong(words[7]);
            return new Lock(words[3].equals("WRITE"), Integer.parseInt(file[0], 16), Integer.parseInt(file[1], 16),
                    Long.parseLong(file[2]), Long.parseLong(words[6]), end);
        } catch (NumberFormatException | ArrayIndexOutOfBoundsException e) {
            return null; // another kernel's line
        }
    }
}
