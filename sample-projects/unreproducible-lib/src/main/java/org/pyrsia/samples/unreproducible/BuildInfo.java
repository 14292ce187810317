package org.pyrsia.samples.unreproducible;

import java.io.IOException;
import java.io.InputStream;
import java.util.Properties;

/** Says when this library was built, which is what makes every build of it another one. */
public final class BuildInfo {
    private BuildInfo() {}

    /**
     * The time of the build.
     *
     * @return date and time to the millisecond, UTC
     * @throws IOException if the resource cannot be read
     */
    public static String started() throws IOException {
        Properties properties = new Properties();
        try (InputStream stream = BuildInfo.class.getResourceAsStream("build.properties")) {
            if (stream == null) {
                throw new IOException("build.properties is missing");
            }
            properties.load(stream);
        }
        return properties.getProperty("build.started");
    }
}
