// Command protogen generates the Go code of the public API from the schemas in
// proto/api. It needs no protoc and no network: the compiler is a library, and the
// plugins are tools of this module. Run it from the root of the repository.
//
//	go run ./cmd/protogen           write proto/gen
//	go run ./cmd/protogen -check    change nothing; fail when proto/gen is not what the schemas give
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/pluginpb"
)

const (
	sources = "proto"
	output  = "proto/gen"
	// prefix is what import paths of schemas have before their path below proto.
	prefix = "pawl/"
)

// plugins run in this order, each with its parameter.
var plugins = [][2]string{
	{"protoc-gen-go", "paths=source_relative"},
	{"protoc-gen-connect-go", "paths=source_relative,simple"},
}

func main() {
	check := flag.Bool("check", false, "compare with proto/gen and write nothing")
	flag.Parse()
	if err := run(context.Background(), *check); err != nil {
		fmt.Fprintln(os.Stderr, "protogen:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, check bool) error {
	want, err := generate(ctx)
	if err != nil {
		return err
	}
	have, err := generated()
	if err != nil {
		return err
	}
	var stale []string
	for name, content := range want {
		if !bytes.Equal(have[name], content) {
			stale = append(stale, name)
		}
	}
	for name := range have {
		if _, ok := want[name]; !ok {
			stale = append(stale, name)
		}
	}
	slices.Sort(stale)
	if check {
		if len(stale) > 0 {
			return fmt.Errorf("not what the schemas give, run go run ./cmd/protogen: %s", strings.Join(stale, " "))
		}
		return nil
	}
	for _, name := range stale {
		if err := write(name, want[name]); err != nil {
			return err
		}
	}
	return nil
}

// generate gives the content of every file below output, by its slash path there.
func generate(ctx context.Context) (map[string][]byte, error) {
	names, err := filepath.Glob(filepath.FromSlash(sources + "/api/*/*.proto"))
	if err != nil || len(names) == 0 {
		return nil, errors.Join(fmt.Errorf("no schemas below %s/api: run it from the root of the repository", sources), err)
	}
	req, err := request(ctx, names)
	if err != nil {
		return nil, err
	}
	files := make(map[string][]byte)
	for _, p := range plugins {
		req.Parameter = proto.String(p[1])
		if err := plugin(ctx, p[0], req, files); err != nil {
			return nil, fmt.Errorf("%s: %w", p[0], err)
		}
	}
	return files, nil
}

func request(ctx context.Context, names []string) (*pluginpb.CodeGeneratorRequest, error) {
	req := &pluginpb.CodeGeneratorRequest{}
	for _, n := range names {
		req.FileToGenerate = append(req.FileToGenerate, prefix+strings.TrimPrefix(filepath.ToSlash(n), sources+"/"))
	}
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
			Accessor: func(name string) (io.ReadCloser, error) {
				below, ok := strings.CutPrefix(name, prefix)
				if !ok {
					return nil, fs.ErrNotExist
				}
				return os.Open(filepath.Join(sources, filepath.FromSlash(below)))
			},
		}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	compiled, err := compiler.Compile(ctx, req.FileToGenerate...)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool)
	for _, f := range compiled {
		inOrder(f, seen, req)
	}
	return req, nil
}

// inOrder adds f after all that it imports, as plugins expect.
func inOrder(f protoreflect.FileDescriptor, seen map[string]bool, req *pluginpb.CodeGeneratorRequest) {
	if seen[f.Path()] {
		return
	}
	seen[f.Path()] = true
	for i := range f.Imports().Len() {
		inOrder(f.Imports().Get(i).FileDescriptor, seen, req)
	}
	req.ProtoFile = append(req.ProtoFile, protodesc.ToFileDescriptorProto(f))
}

func plugin(ctx context.Context, name string, req *pluginpb.CodeGeneratorRequest, files map[string][]byte) error {
	in, err := proto.Marshal(req)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "tool", name)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	var resp pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(out, &resp); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	if resp.Error != nil {
		return errors.New(resp.GetError())
	}
	for _, f := range resp.File {
		files[f.GetName()] = []byte(f.GetContent())
	}
	return nil
}

// generated reads what is below output now.
func generated() (map[string][]byte, error) {
	files := make(map[string][]byte)
	root := os.DirFS(filepath.FromSlash(output))
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[name], err = fs.ReadFile(root, name)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return files, nil
}

// write puts content at name below output; nil content removes the file.
func write(name string, content []byte) error {
	name = filepath.FromSlash(path.Join(output, name))
	if content == nil {
		return os.Remove(name)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, content, 0o644)
}
