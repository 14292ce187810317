package org.pyrsia.samples.words;

import java.util.Map;
import java.util.TreeMap;
import org.apache.commons.lang3.StringUtils;

/** Counts words. */
public final class Words {
    private Words() {}

    /**
     * How often each word occurs, whatever its case.
     *
     * @param text any text
     * @return counts by word in lower case, sorted
     */
    public static Map<String, Integer> count(String text) {
        Map<String, Integer> counts = new TreeMap<>();
        for (String word : StringUtils.split(StringUtils.lowerCase(text))) {
            counts.merge(word, 1, Integer::sum);
        }
        return counts;
    }
}
