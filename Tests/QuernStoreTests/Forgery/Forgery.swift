// SPDX-License-Identifier: Apache-2.0
@testable import QuernStore

/// One change of a store, written in eight bytes: so that random bytes are a list of changes.
struct Forgery {
    static let size = 8

    enum Kind: UInt8, CaseIterable {
        case byte, number, smallNumber, step, frameField, fileField
        case duplicateFrame, removeFrame, swapFrames, copyFrame, dropFrames
        case removeRecord, duplicateRecord, copyRecord, cutRecord
        case swapFiles, copyFile, removeFile, cutFile, extendFile, flip, keepLinks
    }

    private let kind: Kind
    private let file: Int
    private let frame: Int
    private let place: Int
    private let value: UInt8
    private let other: Int

    /// Numbers at which something is likely to break.
    private static let numbers: [UInt64] = [
        0, 1, 2, 63, 64, 65, 127, 128, 255, 4096, 1 << 16, 1 << 31, 1 << 32 - 1, 1 << 32, Limits.number - 1,
        Limits.number, Limits.number + 1, 1 << 63 - 1, 1 << 63, .max - 1, .max,
    ]

    init(_ bytes: some Collection<UInt8>) {
        let bytes = Array(bytes)
        kind = Kind.allCases[Int(bytes[0]) % Kind.allCases.count]
        file = Int(bytes[1])
        frame = Int(bytes[2])
        place = Int(bytes[3]) | Int(bytes[4]) << 8
        value = bytes[5]
        other = Int(bytes[6]) | Int(bytes[7]) << 8
    }

    /// Does all changes that `bytes` say.
    static func apply(_ bytes: UnsafeRawBufferPointer, to store: inout ForgedStore) {
        for start in stride(from: 0, through: bytes.count - size, by: size) {
            Forgery(bytes[start..<(start + size)]).apply(to: &store)
        }
    }

    private func apply(to store: inout ForgedStore) {
        guard !store.files.isEmpty else { return }
        let index = file % store.files.count
        switch kind {
        case .byte, .number, .smallNumber, .step, .frameField, .duplicateFrame, .removeFrame, .swapFrames, .dropFrames,
            .removeRecord, .duplicateRecord, .cutRecord:
            guard !store.files[index].frames.isEmpty else { return }
            let number = frame % store.files[index].frames.count
            changeFrame(number, of: &store.files[index])
        case .fileField: changeHeader(&store.files[index].header)
        case .copyFrame, .copyRecord: copy(to: index, in: &store)
        case .swapFiles:
            let second = other % store.files.count
            let names = (store.files[index].name, store.files[second].name)
            (store.files[index].name, store.files[second].name) = (names.1, names.0)
            if value & 1 == 1 { adopt(names.1, &store.files[index]) }
            if value & 2 == 2 { adopt(names.0, &store.files[second]) }
        case .copyFile:
            // As one that is not there, or that another file has been.
            var copy = store.files[index]
            guard let (kind, _) = StoreFiles.parse(copy.name) else { return }
            copy.name = StoreFiles.name(kind, UInt64(max(1, other % 20)))
            adopt(copy.name, &copy)
            store.files.removeAll { $0.name == copy.name }
            store.files.append(copy)
            store.files.sort { $0.name < $1.name }
        case .removeFile: store.damages.append((store.files[index].name, .remove))
        case .cutFile: store.damages.append((store.files[index].name, .cut(at: place)))
        case .extendFile:
            let bytes = [UInt8](repeating: value & 1 == 0 ? 0 : value, count: other % 4096)
            store.damages.append((store.files[index].name, .extend(bytes)))
        case .flip: store.damages.append((store.files[index].name, .flip(at: place, bits: max(value, 1))))
        case .keepLinks: store.correctsLinks = false
        }
    }

    /// Lets a file's header say what its name says.
    private func adopt(_ name: String, _ file: inout ForgedFile) {
        guard let (kind, number) = StoreFiles.parse(name) else { return }
        file.header.kind = kind
        file.header.number = number
    }

    private func changeHeader(_ header: inout FileHeader) {
        let number = Self.numbers[Int(value) % Self.numbers.count]
        switch place % 7 {
        case 0: header.number = number
        case 1: header.epoch = number
        case 2: header.previousLength = number
        case 3: header.previousChecksum = UInt32(truncatingIfNeeded: number)
        case 4: header.identity = StoreIdentity(high: number, low: 0)
        case 5: header.number &+= UInt64(value % 4)
        default: header.kind = FileHeader.Kind(rawValue: value % 5 + 1) ?? header.kind
        }
    }

    private func changeFrame(_ number: Int, of file: inout ForgedFile) {
        let records = Self.records(of: file.frames[number])
        switch kind {
        case .byte: put([value], into: &file.frames[number].body)
        case .number:
            put(Self.numbers[Int(value) % Self.numbers.count].littleEndianBytes, into: &file.frames[number].body)
        case .smallNumber:
            let bytes = Self.numbers[Int(value) % Self.numbers.count].littleEndianBytes
            put(Array(bytes.prefix(4)), into: &file.frames[number].body)
        case .step:
            let body = file.frames[number].body
            guard !body.isEmpty else { return }
            put([body[place % body.count] &+ (value & 1 == 0 ? 1 : 255)], into: &file.frames[number].body)
        case .frameField: changeHeader(of: &file.frames[number].header)
        case .duplicateFrame: file.frames.insert(file.frames[number], at: other % (file.frames.count + 1))
        case .removeFrame: file.frames.remove(at: number)
        case .swapFrames: file.frames.swapAt(number, other % file.frames.count)
        case .dropFrames: file.frames.removeLast(file.frames.count - number)
        case .removeRecord:
            if let record = pick(records) { file.frames[number].body.removeSubrange(record) }
        case .duplicateRecord:
            guard let record = pick(records) else { return }
            file.frames[number].body.insert(
                contentsOf: Array(file.frames[number].body[record]), at: records[other % records.count].lowerBound)
        case .cutRecord:
            guard let record = pick(records) else { return }
            file.frames[number].body.removeSubrange((record.upperBound - other % record.count)..<record.upperBound)
        default: break
        }
    }

    private func changeHeader(of frame: inout FrameHeader) {
        let number = Self.numbers[Int(value) % Self.numbers.count]
        switch place % 4 {
        case 0: frame.firstSequence = number
        case 1: frame.firstID = number
        case 2: frame.durableUpTo = number
        default: frame.kind = FrameHeader.Kind(rawValue: value % 7 + 1) ?? frame.kind
        }
    }

    private func put(_ bytes: [UInt8], into body: inout [UInt8]) {
        guard !body.isEmpty else { return }
        let start = place % body.count
        let end = min(start + bytes.count, body.count)
        body.replaceSubrange(start..<end, with: bytes.prefix(end - start))
    }

    private func pick(_ records: [Range<Int>]) -> Range<Int>? {
        records.isEmpty ? nil : records[place % records.count]
    }

    /// Where the records of a frame are; nothing of a frame that has none.
    private static func records(of frame: ForgedFile.Frame) -> [Range<Int>] {
        guard [.commit, .part, .state].contains(frame.header.kind) else { return [] }
        var records: [Range<Int>] = []
        try? frame.body.withUnsafeBytesThrowing { (bytes) throws(DecodingFailure) in
            try LogRecord.forEach(in: bytes) { _, start, fields in
                records.append(start..<(start + LogRecord.prefixSize + fields.count))
            }
        }
        return records
    }

    /// Brings a frame, or a record of one, from another file.
    private func copy(to index: Int, in store: inout ForgedStore) {
        let source = store.files[other % store.files.count]
        guard !source.frames.isEmpty else { return }
        let frame = source.frames[Int(value) % source.frames.count]
        if kind == .copyFrame {
            store.files[index].frames.insert(frame, at: self.frame % (store.files[index].frames.count + 1))
            return
        }
        guard let record = pick(Self.records(of: frame)), !store.files[index].frames.isEmpty else { return }
        let number = self.frame % store.files[index].frames.count
        store.files[index].frames[number].body += frame.body[record]
    }
}

extension UInt64 {
    fileprivate var littleEndianBytes: [UInt8] { withUnsafeBytes(of: littleEndian) { Array($0) } }
}
