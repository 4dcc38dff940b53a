import Diagnostics
import Foundation

/// The streams that the process was started with.
enum StandardStreams {
  /// Gives the process the three streams that it was started without, so that no file takes their place and is written
  /// what was meant for them, and lets a reader of stderr that has gone be no reason to stop.
  static func prepare() {
    signal(SIGPIPE, SIG_IGN)
    // A new file gets the lowest number that is free. It takes no bytes: what stdout shall hold must not vanish.
    while true {
      let number = open("/dev/null", O_RDONLY)
      guard (0...STDERR_FILENO).contains(number) else {
        close(number)
        return
      }
    }
  }

  /// Writes a text as far as a stream takes it.
  ///
  /// - Returns: Whether that is all of it; else `errno` says why.
  fileprivate static func write(_ text: String, to stream: Int32) -> Bool {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Foundation.write(stream, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      bytes = bytes.dropFirst(count)
    }
    return true
  }
}

/// Prints a line to stdout.
///
/// `print` would lose what does not fit a full disk without a word.
///
/// - Throws: `Failure` of category `inputOutput` when the line cannot be written.
func printLine(_ text: String) throws(Failure) {
  if StandardStreams.write(text + "\n", to: STDOUT_FILENO) { return }
  if errno == EPIPE {
    // Whoever reads has seen enough, as with `| head`: the end that every program of a pipe has.
    signal(SIGPIPE, SIG_DFL)
    raise(SIGPIPE)
  }
  throw Failure(
    .inputOutput, operation: "print the result", subject: "stdout", expected: "room and an open stream",
    got: "\"\(String(cString: strerror(errno)))\"")
}

/// The stream for progress and problems.
///
/// Where it takes nothing, as on a full disk, the work goes on without it.
enum StandardError {
  /// Whether a person may be watching.
  static let isTerminal = isatty(STDERR_FILENO) == 1

  /// Writes a text as far as the stream takes it.
  static func write(_ text: String) { _ = StandardStreams.write(text, to: STDERR_FILENO) }
}

/// The columns of the terminal that a stream is; 80 where it is none.
func terminalWidth(of stream: Int32) -> Int {
  var size = winsize()
  let isKnown = ioctl(stream, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 1
  return isKnown ? Int(size.ws_col) : 80
}
