// Gen writes openapi.json of package api: the routes by the table here, their
// answers by the Go types that they are encoded from.
package main

import (
	"encoding/json"
	"log"
	"os"
)

func main() {
	b, err := document()
	if err == nil {
		err = os.WriteFile("openapi.json", b, 0o644)
	}
	if err != nil {
		log.Fatal(err)
	}
}

type object = map[string]any

// document is the whole description.
func document() ([]byte, error) {
	s := &schemas{components: object{}}
	paths := object{}
	for _, r := range routes {
		item, _ := paths[r.path].(object)
		if item == nil {
			item = object{}
			paths[r.path] = item
		}
		item[r.method] = r.operation(s)
	}
	b, err := json.MarshalIndent(object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Tallygate admin API", "version": "1",
			"description": "What the console and the command line ask. Everything but what says otherwise needs the bearer token or a client certificate. With replicas=own one replica answers for itself, in parts that add up; otherwise its peers (admin.peers) are asked too.",
		},
		"security":   []any{object{"token": []any{}}},
		"paths":      paths,
		"components": object{"schemas": s.components, "securitySchemes": object{"token": object{"type": "http", "scheme": "bearer"}}},
	}, "", "  ")
	return append(b, '\n'), err
}

func (r *route) operation(s *schemas) object {
	content := object{"text/plain": object{"schema": object{"type": "string"}}}
	if r.answer != nil {
		content = object{"application/json": object{"schema": s.of(r.answer)}}
	} else if r.lines != nil {
		content = object{"application/jsonl": object{"schema": s.of(r.lines)}}
	}
	op := object{"summary": r.summary, "responses": object{
		"200": object{"description": "the answer", "content": content},
	}}
	if r.open {
		op["security"] = []any{}
	} else {
		op["responses"].(object)["401"] = object{"description": "no valid token"}
	}
	if r.body != nil {
		op["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": s.of(r.body)}}}
	}
	var params []any
	for _, p := range r.params {
		params = append(params, object{"name": p.name, "in": p.in(r.path), "required": p.required(r.path), "description": p.means, "schema": object{"type": "string"}})
	}
	if params != nil {
		op["parameters"] = params
	}
	return op
}
