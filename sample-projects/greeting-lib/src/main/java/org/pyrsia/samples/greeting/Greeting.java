package org.pyrsia.samples.greeting;

import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.text.MessageFormat;
import java.util.Collections;
import java.util.Locale;
import java.util.Objects;
import java.util.Properties;
import java.util.SortedSet;
import java.util.TreeSet;

/** Greets people in the language of their choice, or in English where it is not known. */
public final class Greeting {
    private static final String DEFAULT_LANGUAGE = "en";

    private final Properties patterns = new Properties();

    /** Reads the greetings that come with this library. */
    public Greeting() {
        try (InputStream stream = Greeting.class.getResourceAsStream("greetings.properties");
                Reader reader = new InputStreamReader(
                        Objects.requireNonNull(stream, "greetings.properties"), StandardCharsets.UTF_8)) {
            patterns.load(reader);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Greets somebody.
     *
     * @param name who is greeted; surrounding white space does not count
     * @param locale whose language is used
     * @return the greeting
     * @throws IllegalArgumentException if the name is blank
     */
    public String greet(String name, Locale locale) {
        String who = name.trim();
        if (who.isEmpty()) {
            throw new IllegalArgumentException("nobody to greet");
        }
        String fallback = patterns.getProperty(DEFAULT_LANGUAGE);
        String pattern = patterns.getProperty(locale.getLanguage(), fallback);
        return new MessageFormat(pattern, locale).format(new Object[] {who});
    }

    /**
     * The languages that are known.
     *
     * @return ISO 639 codes, sorted
     */
    public SortedSet<String> languages() {
        return Collections.unmodifiableSortedSet(new TreeSet<>(patterns.stringPropertyNames()));
    }
}
