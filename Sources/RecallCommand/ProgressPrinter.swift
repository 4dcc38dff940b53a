import Compute
import Diagnostics
import Dispatch
import Foundation
import JSON
import Recall
import Synchronization

/// Shows progress on stderr: a bar that renews itself on a terminal, a line per tenth in a log, or JSON lines.
final class ProgressPrinter: Sendable {
  private enum Style {
    case renewed
    case plain
    case json
    case none
  }

  private struct State {
    var stage = ""
    var tenth = -1
    var start = DispatchTime.now().uptimeNanoseconds
    var lastShown: UInt64 = 0
    var lineIsOpen = false
  }

  private let style: Style
  private let state = Mutex(State())

  /// Reads `--progress`; `auto` renews a line on a terminal and is plain elsewhere.
  init(_ options: ParsedOptions) throws(Failure) {
    let isTerminal = StandardError.isTerminal
    style =
      try options.parsed("--progress", "auto, plain, json or none") { name -> Style? in
        switch name {
        case "auto": isTerminal ? .renewed : .plain
        case "plain": .plain
        case "json": .json
        case "none": Style.none
        default: nil
        }
      } ?? (isTerminal ? .renewed : .plain)
  }

  /// What a merge reports to.
  var progress: MergeProgress { MergeProgress { [self] event in show(event) } }

  /// Says which device computes; what was passed over for it is said also where no progress is asked for.
  func show(_ opened: BackendCatalog.Opened) {
    warn(opened.passedOver.map { "a device was passed over: \($0)" })
    let device = opened.device
    switch style {
    case .none: break
    case .renewed, .plain: write("device: \(device.name), \(device.description.name)\n")
    case .json:
      let json: JSONValue = [
        "stage": "device", "done": 1, "total": 1, "unit": "devices", "device": .string(device.name),
        "name": .string(device.description.name),
      ]
      write(json.compact + "\n")
    }
  }

  /// Says which part is written, where the environment of a scheduler decided that.
  func show(_ choice: PartChoice) {
    guard let source = choice.source else { return }
    switch style {
    case .none: break
    case .renewed, .plain: write("part: \(choice.part), by \(source)\n")
    case .json:
      let json: JSONValue = [
        "stage": "part", "done": 1, "total": 1, "unit": "parts", "part": .integer(choice.part.number),
        "parts": .integer(choice.part.count), "by": .string(source),
      ]
      write(json.compact + "\n")
    }
  }

  /// Ends a line that renews itself.
  func finish() {
    state.withLock { state in
      if state.lineIsOpen { write("\n") }
      state.lineIsOpen = false
    }
  }

  /// Says what a user should know before using a result, whatever progress is shown.
  func warn(_ warnings: [String]) {
    finish()
    for warning in warnings {
      let json: JSONValue = ["warning": .string(warning)]
      write((style == .json ? json.compact : "recall: warning: \(warning)") + "\n")
    }
  }

  private func show(_ event: MergeProgress.Event) {
    state.withLock { state in
      let now = DispatchTime.now().uptimeNanoseconds
      if state.stage != event.stage {
        if state.lineIsOpen { write("\n") }
        state = State(stage: event.stage, start: now)
      }
      let seconds = max(Double(now - state.start) / 1e9, 1e-3)
      let isLast = event.done >= event.total
      switch style {
      case .none: break
      case .renewed:
        guard isLast || now - state.lastShown > 100_000_000 else { return }
        state.lastShown = now
        state.lineIsOpen = true
        write("\r\u{1B}[K\(bar(event, seconds: seconds))")
      case .plain, .json:
        let tenth = event.total == 0 ? 10 : event.done * 10 / event.total
        guard tenth > state.tenth else { return }
        state.tenth = tenth
        write((style == .plain ? line(event, seconds: seconds) : json(event, seconds: seconds)) + "\n")
      }
    }
  }

  /// A bar and the line beside it, in one line of the terminal whatever its width.
  private func bar(_ event: MergeProgress.Event, seconds: Double) -> String {
    let text = line(event, seconds: seconds)
    // The last column stays free: some terminals go on to the next line behind it.
    let width = terminalWidth(of: STDERR_FILENO) - 1
    let room = min(width - text.count - "[] ".count, 20)
    guard room >= 5 else { return String(text.prefix(width)) }
    let filled = event.total == 0 ? room : Int(Double(room) * Double(event.done) / Double(event.total))
    return "[\(String(repeating: "#", count: filled))\(String(repeating: " ", count: room - filled))] \(text)"
  }

  private func line(_ event: MergeProgress.Event, seconds: Double) -> String {
    let amount =
      event.unit == "bytes"
      ? "\(byteText(event.done)) of \(byteText(event.total)), \(byteText(Int(Double(event.done) / seconds)))/s"
      : "\(event.done) of \(event.total) \(event.unit)"
    return "\(event.stage): \(amount), \(fixed(secondsLeft(event, seconds: seconds), digits: 0)) s left"
  }

  /// How long the rest takes at the rate so far.
  private func secondsLeft(_ event: MergeProgress.Event, seconds: Double) -> Double {
    event.done == 0 ? 0 : seconds * Double(event.total - event.done) / Double(event.done)
  }

  private func json(_ event: MergeProgress.Event, seconds: Double) -> String {
    let json: JSONValue = [
      "stage": .string(event.stage), "done": .integer(event.done), "total": .integer(event.total),
      "unit": .string(event.unit), "seconds": .double(milliseconds(seconds)),
      "secondsLeft": .double(milliseconds(secondsLeft(event, seconds: seconds))),
    ]
    return json.compact
  }

  private func milliseconds(_ seconds: Double) -> Double { (seconds * 1000).rounded() / 1000 }

  private func write(_ text: String) { StandardError.write(text) }
}
