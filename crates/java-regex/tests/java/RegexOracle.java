import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * Says what java.util.regex makes of a list of cases.
 *
 * Standard input: one case a line, three fields parted by tabs: pattern, flags (letters of "idmsuxU", may be empty),
 * text. Inside a field {@code \t \n \r \\} and <code>&#92;u</code> with four hexadecimal digits are escapes.
 *
 * Standard output: one result a line: {@code error}, {@code none}, {@code overflow}, {@code throws} (a pattern that
 * compiles and then breaks the matcher), or {@code found} followed by one
 * field for each group from 0 on: {@code start-end text} (offsets in UTF-16 units), or {@code null}. With the argument
 * {@code echo} the fields of the case come first.
 *
 * With the argument {@code sets} a case is a pattern for one character and flags. The answer is {@code error} or a
 * checksum of all code points that match.
 *
 * Blank lines and lines that start with {@code # } are copied as they are.
 */
public final class RegexOracle {
    private RegexOracle() {
    }

    public static void main(String[] args) throws Exception {
        boolean echo = args.length > 0 && args[0].equals("echo");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, false, "UTF-8");
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            if (line.isEmpty() || line.startsWith("# ")) {
                out.print(line + "\n");
                continue;
            }
            String[] field = line.split("\t", -1);
            if (args.length > 0 && args[0].equals("sets")) {
                out.print(field[0] + "\t" + field[1] + "\t" + checksum(field[0], flags(field[1])) + "\n");
                continue;
            }
            String answer = answer(unescape(field[0]), flags(field[1]), unescape(field[2]));
            out.print(echo ? field[0] + "\t" + field[1] + "\t" + field[2] + "\t" + answer + "\n" : answer + "\n");
        }
        out.flush();
    }

    /** A text that ends a search which would never end. */
    private record Limited(String text, int[] left) implements CharSequence {
        Limited(String text) {
            this(text, new int[] {20_000_000});
        }

        @Override
        public int length() {
            return text.length();
        }

        @Override
        public char charAt(int index) {
            if (--left[0] < 0) {
                throw new StackOverflowError();
            }
            return text.charAt(index);
        }

        @Override
        public CharSequence subSequence(int start, int end) {
            return text.subSequence(start, end);
        }
    }

    private static String answer(String pattern, int flags, String text) {
        Matcher matcher;
        try {
            matcher = Pattern.compile(pattern, flags).matcher(new Limited(text));
        } catch (PatternSyntaxException | ArithmeticException | IndexOutOfBoundsException e) {
            return "error";
        } catch (StackOverflowError | OutOfMemoryError e) {
            return "overflow";
        }
        try {
            if (!matcher.find()) {
                return "none";
            }
        } catch (StackOverflowError e) {
            return "overflow";
        } catch (RuntimeException e) {
            return "throws";
        }
        StringBuilder answer = new StringBuilder("found");
        for (int group = 0; group <= matcher.groupCount(); group++) {
            answer.append('\t');
            if (matcher.start(group) < 0) {
                answer.append("null");
            } else {
                answer.append(matcher.start(group)).append('-').append(matcher.end(group)).append(' ')
                        .append(escape(text.substring(matcher.start(group), matcher.end(group))));
            }
        }
        return answer.toString();
    }

    private static String checksum(String pattern, int flags) {
        Matcher matcher;
        try {
            matcher = Pattern.compile(pattern, flags).matcher("");
        } catch (PatternSyntaxException e) {
            return "error";
        }
        int sum = 0;
        for (int c = 0; c <= Character.MAX_CODE_POINT; c++) {
            if ((c < Character.MIN_SURROGATE || c > Character.MAX_SURROGATE)
                    && matcher.reset(new String(Character.toChars(c))).matches()) {
                sum = 31 * sum + c;
            }
        }
        return String.format("%08x", sum);
    }

    private static int flags(String letters) {
        int flags = 0;
        for (char letter : letters.toCharArray()) {
            switch (letter) {
                case 'i': flags |= Pattern.CASE_INSENSITIVE; break;
                case 'd': flags |= Pattern.UNIX_LINES; break;
                case 'm': flags |= Pattern.MULTILINE; break;
                case 's': flags |= Pattern.DOTALL; break;
                case 'u': flags |= Pattern.UNICODE_CASE; break;
                case 'x': flags |= Pattern.COMMENTS; break;
                case 'U': flags |= Pattern.UNICODE_CHARACTER_CLASS; break;
                default: throw new IllegalArgumentException("flag " + letter);
            }
        }
        return flags;
    }

    private static String unescape(String field) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < field.length(); i++) {
            char c = field.charAt(i);
            if (c != '\\') {
                text.append(c);
                continue;
            }
            c = field.charAt(++i);
            switch (c) {
                case 't': text.append('\t'); break;
                case 'n': text.append('\n'); break;
                case 'r': text.append('\r'); break;
                case '\\': text.append('\\'); break;
                case 'u':
                    text.append((char) Integer.parseInt(field.substring(i + 1, i + 5), 16));
                    i += 4;
                    break;
                default: throw new IllegalArgumentException("escape in " + field);
            }
        }
        return text.toString();
    }

    private static String escape(String text) {
        StringBuilder field = new StringBuilder();
        for (char c : text.toCharArray()) {
            switch (c) {
                case '\t': field.append("\\t"); break;
                case '\n': field.append("\\n"); break;
                case '\r': field.append("\\r"); break;
                case '\\': field.append("\\\\"); break;
                default:
                    if (c < ' ' || c > '~') {
                        field.append(String.format("\\u%04x", (int) c));
                    } else {
                        field.append(c);
                    }
            }
        }
        return field.toString();
    }
}
