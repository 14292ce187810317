import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

import org.apache.maven.artifact.versioning.ComparableVersion;

/**
 * Asks Maven's own class how two versions compare: a line "left TAB right" in, a line "-1", "0" or "1" out, UTF-8.
 * What stands after a second tab is not looked at. Run as a source file with maven-artifact on the class path.
 */
public final class CompareVersions {
    private CompareVersions() {}

    public static void main(String[] arguments) throws Exception {
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        var out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] columns = line.split("\t", -1);
            out.print(answer(columns[0], columns[1]) + "\n");
        }
        out.flush();
    }

    /** The answer, or the error that Maven's class ends with. */
    private static String answer(String left, String right) {
        try {
            int order = new ComparableVersion(left).compareTo(new ComparableVersion(right));
            return Integer.toString(Integer.signum(order));
        } catch (RuntimeException error) {
            return error.getClass().getSimpleName();
        }
    }
}
