package ringlog;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Map;

/** Which file it is, whatever its name: device and inode. */
record FileKey(long device, long inode) {
    static FileKey of(Path path) throws IOException {
        Map<String, Object> found = Files.readAttributes(path, "unix:dev,ino", LinkOption.NOFOLLOW_LINKS);
        return new FileKey((Long) found.get("dev"), (Long) found.get("ino"));
    }

    int major() {
        return (int) (device >>> 8 & 0xFFF | device >>> 32 & ~0xFFFL);
    }

    int minor() {
        return (int) (device & 0xFF | device >>> 12 & ~0xFFL);
    }
}
