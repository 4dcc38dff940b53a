import CYAML
import Diagnostics

/// The events of a YAML text as libyaml finds them, one after the other.
final class YAMLEvents {
  /// An event.
  struct Event {
    enum Kind {
      case streamStart, streamEnd, documentStart, documentEnd
      case alias(String)
      /// A scalar; plain when neither quotes nor a tag say that it is text.
      case scalar(String, isPlain: Bool)
      case sequenceStart, sequenceEnd, mappingStart, mappingEnd
    }

    let kind: Kind
    /// The anchor that is set.
    let anchor: String?
    /// The tag that is given.
    let tag: String?
    /// Counted from 1.
    let line: Int
  }

  private let library: YAMLLibrary
  private let parser: UnsafeMutablePointer<YAMLParser>
  private let text: UnsafeMutableBufferPointer<UInt8>
  private let subject: String

  /// Starts at the beginning of a text.
  ///
  /// - Parameters:
  ///   - text: The text, which is copied.
  ///   - subject: The file that it is from, for errors.
  ///   - libraryName: The file name of libyaml.
  /// - Throws: `Failure` of category `missingInput` when the library is missing.
  init(_ text: [UInt8], from subject: String, libraryName: String) throws(Failure) {
    library = try YAMLEvents.open(libraryName, toRead: subject)
    parser = .allocate(capacity: 1)
    self.text = .allocate(capacity: max(1, text.count))
    self.subject = subject
    _ = self.text.initialize(from: text + (text.isEmpty ? [0] : []))
    guard library.initialize(parser) != 0, let start = self.text.baseAddress else {
      throw Failure(
        .internalError, operation: "read YAML", subject: subject, expected: "memory for a parser", got: "none")
    }
    library.setInput(parser, start, text.count)
  }

  deinit {
    library.destroy(parser)
    parser.deallocate()
    text.deallocate()
  }

  private static func open(_ name: String, toRead subject: String) throws(Failure) -> YAMLLibrary {
    let opened = withUnsafeTemporaryAllocation(of: YAMLLibrary.self, capacity: 1) { library in
      withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { reason -> Result<YAMLLibrary, Reason> in
        guard let place = library.baseAddress, let text = reason.baseAddress else {
          return .failure(Reason(text: "no memory to open it"))
        }
        guard YAMLOpen(name, place, text, reason.count) else {
          return .failure(Reason(text: String(cString: text)))
        }
        return .success(place.pointee)
      }
    }
    switch opened {
    case .success(let library): return library
    case .failure(let reason):
      throw Failure(
        .missingInput, operation: "read YAML", subject: subject, expected: "the library \(name)", got: reason.text,
        advice: "Install libyaml (Debian and Ubuntu: libyaml-0-2), or write the recipe as JSON, which needs no library."
      )
    }
  }

  private struct Reason: Error {
    let text: String
  }

  /// The next event.
  ///
  /// - Throws: `Failure` of category `badData` that names the line where the text is no YAML.
  func next() throws(Failure) -> Event {
    var event = YAMLEvent()
    guard library.parse(parser, &event) != 0 else { throw syntaxFailure() }
    defer { library.deleteEvent(&event) }
    let line = event.start.line + 1
    func text(_ bytes: UnsafeMutablePointer<UInt8>?) -> String? { bytes.map { String(cString: $0) } }
    func bare(_ kind: Event.Kind) -> Event { Event(kind: kind, anchor: nil, tag: nil, line: line) }
    func start(_ kind: Event.Kind) -> Event {
      Event(kind: kind, anchor: text(event.node.anchor), tag: text(event.node.tag), line: line)
    }
    switch UInt32(event.kind) {
    case YAMLStreamStart.rawValue: return bare(.streamStart)
    case YAMLStreamEnd.rawValue: return bare(.streamEnd)
    case YAMLDocumentStart.rawValue: return bare(.documentStart)
    case YAMLDocumentEnd.rawValue: return bare(.documentEnd)
    case YAMLAlias.rawValue: return bare(.alias(text(event.anchor) ?? ""))
    case YAMLScalar.rawValue:
      let scalar = event.scalar
      let bytes = UnsafeBufferPointer(start: scalar.value, count: scalar.value == nil ? 0 : scalar.length)
      return Event(
        kind: .scalar(String(decoding: bytes, as: UTF8.self), isPlain: scalar.isPlain != 0),
        anchor: text(scalar.anchor), tag: text(scalar.tag), line: line)
    case YAMLSequenceStart.rawValue: return start(.sequenceStart)
    case YAMLSequenceEnd.rawValue: return bare(.sequenceEnd)
    case YAMLMappingStart.rawValue: return start(.mappingStart)
    case YAMLMappingEnd.rawValue: return bare(.mappingEnd)
    default:
      throw Failure(
        .internalError, operation: "read YAML", subject: "\(subject), line \(line)", expected: "an event that is known",
        got: "number \(event.kind)")
    }
  }

  private func syntaxFailure() -> Failure {
    let error = parser.pointee
    let problem = error.problem.map { String(cString: $0) } ?? "an unknown problem"
    let context = error.context.map { ", \(String(cString: $0)) from line \(error.contextMark.line + 1) on" } ?? ""
    return Failure(
      .badData, operation: "read YAML", subject: "\(subject), line \(error.problemMark.line + 1)",
      expected: "valid YAML", got: problem + context)
  }
}
