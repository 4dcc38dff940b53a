import Diagnostics
import JSON
import Testing

@Suite struct JSONTests {
  private func parse(_ text: String) throws(Failure) -> JSONValue {
    try JSONValue(parsing: Array(text.utf8), from: "test.json")
  }

  @Test("a document is written as it was read")
  func roundTrip() throws {
    let text = #"{"z":[1,2.50,-0,1e+30],"a":{"é":"\"\\\n\u0001😀"},"t":true,"n":null,"":[]}"#
    #expect(try parse(text).compact == text)
    #expect(try parse(try parse(text).formatted).compact == text)
  }

  @Test("escapes mean what RFC 8259 says")
  func escapes() throws {
    let value = try parse(#""\u0041\ud83d\ude00\/\b\f\t\u00e9""#)
    #expect(value.string?.unicodeScalars.map(\.value) == [0x41, 0x1F600, 0x2F, 8, 12, 9, 0xE9])
  }

  @Test("keys that are canonically equivalent stay two keys")
  func exactKeys() throws {
    let object = try #require(try parse("{\"\u{E9}\":1,\"e\u{301}\":2}").object)
    #expect(object["\u{E9}"]?.integer == 1)
    #expect(object["e\u{301}"]?.integer == 2)
  }

  @Test(
    "invalid documents are refused",
    arguments: [
      "", " ", "{", "[1,]", "{\"a\":1,}", "{\"a\":1,\"a\":2}", "01", "1.", ".5", "+1", "1e", "nul", "tru e",
      "\"\u{1}\"",
      #""\ud800""#, #""\udc00\ud800""#, #""\ud83d\u0041""#, #""\ud83dx""#, #""\u12g4""#, "\"a", "[1] 2", "{1:2}", "'a'",
      "NaN", "\u{FEFF}1",
    ])
  func refusals(text: String) {
    #expect(throws: Failure.self) { try parse(text) }
  }

  @Test("deep nesting is refused instead of exhausting the stack")
  func deepNesting() {
    #expect(throws: Failure.self) { try parse(String(repeating: "[", count: 1_000_000)) }
  }

  @Test("invalid UTF-8 is refused")
  func invalidUTF8() {
    #expect(throws: Failure.self) { try JSONValue(parsing: [0x22, 0xC0, 0x80, 0x22], from: "test.json") }
  }

  @Test("removing a member keeps the others in order")
  func removal() throws {
    var object = try #require(try parse(#"{"a":1,"b":2,"c":3}"#).object)
    object["a"] = nil
    object["b"] = 5
    #expect(JSONValue.object(object).compact == #"{"b":5,"c":3}"#)
    #expect(object["c"]?.integer == 3)
  }
}
