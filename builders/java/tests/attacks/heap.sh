# A JVM that asks for more than its share: the tool's own way to fail for want of memory.
cat > /tmp/Heap.java << 'END'
public class Heap {
    public static void main(String[] arguments) {
        java.util.List<byte[]> all = new java.util.ArrayList<>();
        while (true) all.add(new byte[1 << 20]);
    }
}
END
java -Xmx24m /tmp/Heap.java
