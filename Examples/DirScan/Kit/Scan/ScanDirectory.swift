// SPDX-License-Identifier: Apache-2.0
import Quern

/// One directory to list: a child of the scan, and a sibling of the directories around it.
struct ScanDirectory: DurableTask {
    static let type: TaskType = "dirscan.directory"

    /// Relative to the root.
    var path: PathBytes

    enum Memo: Sendable, Equatable {
        case listed(DirectoryMemo)
        /// It was gone when its turn came: what it held counts as deleted, and nothing failed.
        case vanished
    }
}

extension ScanDirectory {
    // The payload is the path and nothing else: a quarter of a million of them wait in the log.
    func encodePayload(into writer: inout ByteWriter) { writer.append(contentsOf: path.bytes) }

    static func decodePayload(_ bytes: RawSpan) -> ScanDirectory {
        ScanDirectory(path: PathBytes(bytes.withUnsafeBytes { [UInt8]($0) }))
    }
}

extension ScanDirectory.Memo: TaskMemo {
    struct NotAMemo: Error {}

    func encodeMemo(into writer: inout ByteWriter) {
        if case .listed(let memo) = self { writer.append(contentsOf: memo.encode()) }
    }

    static func decodeMemo(_ bytes: RawSpan) throws -> ScanDirectory.Memo {
        if bytes.isEmpty { return .vanished }
        guard let memo = bytes.withUnsafeBytes({ DirectoryMemo(decoding: $0) }) else { throw NotAMemo() }
        return .listed(memo)
    }
}
