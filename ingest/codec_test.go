package ingest

import (
	"bytes"
	"testing"

	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

func TestCodecFrame(t *testing.T) {
	f := func(pieces ...string) {
		t.Helper()
		var data mem.BufferSlice
		var want []byte
		for _, p := range pieces {
			data = append(data, mem.Copy([]byte(p), mem.DefaultBufferPool()))
			want = append(want, p...)
		}
		var frame Frame
		if err := Codec().Unmarshal(data, &frame); err != nil {
			t.Fatalf("Unmarshal: %v", err)
		}
		data.Free()
		if !bytes.Equal(frame.Bytes(), want) {
			t.Errorf("frame of %d pieces holds %d bytes; want %d", len(pieces), len(frame.Bytes()), len(want))
		}
		out, err := Codec().Marshal(&frame)
		if err != nil {
			t.Fatalf("Marshal: %v", err)
		}
		if !bytes.Equal(out.Materialize(), want) {
			t.Error("Marshal changed the frame")
		}
		frame.Free()
		frame.Free()
		if len(frame.Bytes()) != 0 {
			t.Error("a freed frame still has bytes")
		}
	}
	big := string(bytes.Repeat([]byte{'x'}, 20_000))
	f()
	f("")
	f("a")
	f(big)
	f("a", "b")
	f("", "b", big, big)
	huge := string(make([]byte, 3<<20))
	f(huge, huge)
}

func TestCodecFallsThrough(t *testing.T) {
	in := &alsv3.StreamAccessLogsMessage{Identifier: &alsv3.StreamAccessLogsMessage_Identifier{LogName: "x"}}
	data, err := Codec().Marshal(in)
	if err != nil {
		t.Fatalf("Marshal: %v", err)
	}
	out := new(alsv3.StreamAccessLogsMessage)
	if err := Codec().Unmarshal(data, out); err != nil {
		t.Fatalf("Unmarshal: %v", err)
	}
	if !proto.Equal(in, out) {
		t.Errorf("got %v; want %v", out, in)
	}
	if _, err := Codec().Marshal("no message"); err == nil {
		t.Error("Marshal takes a string")
	}
	if err := Codec().Unmarshal(data, new(int)); err == nil {
		t.Error("Unmarshal takes an int")
	}
	if got := Codec().Name(); got != "proto" {
		t.Errorf("Name() = %q; want proto", got)
	}
}

func TestBufferPool(t *testing.T) {
	for _, size := range []int{1, 4096, 4097, 55_000, 1 << 22, 1<<22 + 1} {
		b := getBuffer(size)
		if len(*b) != size {
			t.Errorf("getBuffer(%d) has length %d", size, len(*b))
		}
		putBuffer(b)
	}
}

func BenchmarkCodecGather(b *testing.B) {
	data := make(mem.BufferSlice, 4)
	for i := range data {
		data[i] = mem.SliceBuffer(make([]byte, 14_000))
	}
	var frame Frame
	b.ReportAllocs()
	for b.Loop() {
		_ = Codec().Unmarshal(data, &frame)
		frame.Free()
	}
}
