import Diagnostics
import Recall
import TestSupport
import Testing

/// Files of samples as people write them.
@Suite struct SampleFileTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func texts(_ content: String) throws -> [String] {
    try SampleFile(path: directory.write(content, to: "samples")).samples.map { sample in
      switch sample.content {
      case .text(let text): text
      case .tokens(let tokens): "\(tokens)"
      }
    }
  }

  @Test("plain text has one sample a line, ended by LF or CRLF and nothing else; blank lines are skipped")
  func plainText() throws {
    #expect(try texts("a b\r\n\n  \r\nc\u{2028}d\u{85}e\rf\nlast") == ["a b", "c\u{2028}d\u{85}e\rf", "last"])
    #expect(try texts("\u{FEFF}first\nsecond\n") == ["first", "second"])
  }

  @Test("JSON lines hold text or identifiers, and identifiers outrank text")
  func jsonLines() throws {
    let content = "{\"text\": \"a\\nb\", \"label\": 1}\r\n\n{\"input_ids\": [1, 2], \"text\": \"x\"}\n"
    #expect(try texts("\u{FEFF}" + content) == ["a\nb", "[1, 2]"])
  }

  @Test("samples of a pool are counted from 0, whatever index their lines name")
  func indices() throws {
    let path = try directory.write("{\"text\": \"a\", \"index\": 7}\n\n{\"text\": \"b\"}\n", to: "pool.jsonl")
    let file = try SampleFile(path: path)
    #expect(file.samples.map(\.index) == [0, 1])
    #expect(file.samples.map(\.line) == [1, 3])
    #expect(file.selection == nil)
  }

  @Test("the header of typical samples is read back as it was written")
  func header() throws {
    let header = SelectionHeader(
      model: "/models/c", clusterLayer: "block.5", pooling: .last, maxTokens: 77, seed: 9,
      anchorMedian: [.relative: 0.123456789012345678, .absolute: 1e-30])
    let line = header.json.compact + "\n{\"index\": 12, \"cluster\": 3, \"clusterSize\": 5, \"text\": \"x\"}\n"
    let file = try SampleFile(path: directory.write(line, to: "typical.jsonl"))
    #expect(file.selection == header)
    #expect(file.samples.map(\.index) == [12])
    #expect(file.samples[0].cluster == 3 && file.samples[0].clusterSize == 5)
  }

  @Test(
    "a header or a line that is wrong is refused",
    arguments: [
      "{\"recall\": \"typical/2\"}\n", "{\"recall\": \"typical/1\"}\n{\"text\": \"a\"}\n", "{\"text\": 1}\n",
      "{\"input_ids\": [1.5]}\n", "{\"input_ids\": [99999999999]}\n", "{\"prompt\": \"a\"}\n",
      "{\"text\": \"a\"}\n[1]\n",
    ])
  func refusals(content: String) throws {
    let path = try directory.write(content, to: "samples.jsonl")
    #expect(throws: Failure.self) { try SampleFile(path: path) }
  }
}
