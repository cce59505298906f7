package ringlog;

import java.nio.charset.StandardCharsets;

/** What a handler throws if it fails: its caller gets the bytes, as {@link CallException.Kind#FAILED}. */
public final class Failure extends Exception {
    private static final long serialVersionUID = 1;

    final int status;
    final byte[] body;

    private Failure(int status, String message, byte[] body) {
        super(message);
        this.status = status;
        this.body = body;
    }

    /** Makes a failure of bytes that the caller understands. */
    public Failure(byte[] body) {
        this(Lane.FAILED, body.length + " bytes", body.clone());
    }

    /** Makes a failure of a sentence. */
    public Failure(String message) {
        this(Lane.FAILED, message, message.getBytes(StandardCharsets.UTF_8));
    }

    /** Makes the one that says that there is no such method. */
    public static Failure noMethod() {
        return new Failure(Lane.NO_METHOD, "no such method", new byte[0]);
    }
}
