package als

import (
	"os"
	"path/filepath"
	"testing"
)

func TestDecodeSample(t *testing.T) {
	data := mustMarshal(t, sampleMessage(0, 3))
	t.Logf("%d bytes per entry", len(data)/3)
	checkFrame(t, data)
}

func FuzzDecode(f *testing.F) {
	f.Add(mustMarshal(f, sampleMessage(0, 2)))
	files, _ := filepath.Glob("testdata/frames/*.bin")
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(checkFrame)
}
