package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	r := &report{part: "speed"}
	r.section("Speed", "How fast.")
	r.table("what", "how fast").row("it", thousands(1234567))
	r.target("ratio", 0.4, atLeast, 0.35, "%.2f")
	if err := r.verdict(); err != nil {
		t.Errorf("all targets are met: %v", err)
	}
	r.target("p99 in ms", 7, atMost, 5, "%.1f")
	if err := r.verdict(); err == nil || err.Error() != "missed: p99 in ms is 7.0, wanted at most 5" {
		t.Errorf("verdict: %v", err)
	}
	begin, end := marks("speed")
	path := filepath.Join(t.TempDir(), "benchmarks.md")
	if err := os.WriteFile(path, []byte("# Head\n"+begin+"old\n"+end+"tail\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // writing again changes nothing
		if err := r.write(path); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b)
	for _, want := range []string{
		"# Head\n" + begin, "\n" + end + "tail\n",
		"| ratio | 0.40 | at least 0.35 | met |\n| p99 in ms | 7.0 | at most 5 | **missed** |",
		"### Speed\n\nHow fast.\n\n| what | how fast |\n|---|---|\n| it | 1,234,567 |\n",
	} {
		if !strings.Contains(doc, want) {
			t.Errorf("document\n%s\nlacks %q", doc, want)
		}
	}
	if strings.Contains(doc, "old") || strings.Count(doc, "Speed") != 1 {
		t.Errorf("document keeps old figures:\n%s", doc)
	}
	if err := os.WriteFile(path, []byte("no marks"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.write(path); err == nil {
		t.Error("a document without marks is written into")
	}
}

func TestDocumentHasMarks(t *testing.T) {
	b, err := os.ReadFile("../../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	rest := string(b)
	for _, name := range partNames() {
		begin, end := marks(name)
		_, after, ok := strings.Cut(rest, begin)
		_, after, ok2 := strings.Cut(after, end)
		if !ok || !ok2 {
			t.Fatalf("docs/benchmarks.md has no lines %q and %q in the order of the parts", begin, end)
		}
		rest = after
	}
}

func TestUnits(t *testing.T) {
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%q; want %q", got, want)
		}
	}
	f(thousands(12), "12")
	f(thousands(123456), "123,456")
	f(seconds(0.00012), "120 µs")
	f(seconds(0.0123), "12.3 ms")
	f(seconds(1.5), "1.5 s")
	f(mebibytes(3<<20), "3 MiB")
}
